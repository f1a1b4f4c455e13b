"""What was pulled, and what of it was rejected."""

from datetime import timedelta

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.readings.accounting import pulled_messages, unaccounted_messages
from tests.support.messages import NOW, take_in
from tests.support.pipeline import pipeline
from tests.support.tables import rows
from tests.support.window_readings import SPOILT, STARTS, readings


def test_what_was_pulled_before_does_not_count(connection: DuckDBPyConnection) -> None:
    take_in(connection, [SPOILT, *readings(STARTS[0])])
    assert pulled_messages(connection, NOW).rejected == {"value is not JSON": 1}
    later = pulled_messages(connection, NOW + timedelta(seconds=1))
    assert (later.messages, later.rejected, later.rejected_share) == (0, {}, 0.0)
    assert rows(connection, "SELECT count(*) FROM rejected_messages") == [(1,)]


def test_what_is_pulled_after_a_pull_by_a_clock_that_was_ahead_is_looked_at() -> None:
    with pipeline() as ran:
        ran.log.send(readings(STARTS[0]))
        ran.pull_at(NOW + timedelta(days=400))
        ran.pull(readings(STARTS[1]))
        assert unaccounted_messages(ran.connection) == []
        ran.connection.execute("DELETE FROM readings WHERE window_start = ?", [STARTS[1]])
        (fault,) = unaccounted_messages(ran.connection)
        assert "messages read" in str(fault)
