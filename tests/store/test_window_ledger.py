"""What the ledger says of the newest window."""

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.store.window_ledger import newest_window
from tests.support.window_readings import STARTS


def test_the_newest_window_is_the_newest_that_was_scored_or_asked_for(connection: DuckDBPyConnection) -> None:
    assert newest_window(connection, STARTS[0]) == STARTS[0]
    connection.execute(
        "INSERT INTO windows (window_start, readings, scored) VALUES (?, 1, 1), (?, 1, NULL)", STARTS[1:3]
    )
    assert newest_window(connection, STARTS[0]) == STARTS[1]
    assert newest_window(connection, STARTS[2]) == STARTS[2]
