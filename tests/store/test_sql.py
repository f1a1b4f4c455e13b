"""The small helpers around a connection."""

import duckdb
import pyarrow as pa
import pytest

from aqi_dagster.pipeline.store.sql import registered, transaction


def test_an_error_in_a_transaction_is_not_hidden_by_letting_go_of_a_table() -> None:
    table = pa.table({"number": pa.array([None], pa.int32())})
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER NOT NULL)")
        for _ in range(2):
            with (
                pytest.raises(duckdb.ConstraintException, match="NOT NULL"),
                transaction(connection),
                registered(connection, "input", table),
            ):
                connection.execute("INSERT INTO numbers SELECT * FROM input")
        with pytest.raises(duckdb.CatalogException, match="input"):
            connection.execute("FROM input")
