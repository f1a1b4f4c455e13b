"""From messages to rows: every message becomes what the definition says, repeats are marked, and the tables add up."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from random import Random

from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.readings.insert import Ingested, ingest
from aqi_dagster.windows import WINDOW_LENGTH, window_start
from tests.support.messages import ALLOWANCE, FIRST_WINDOW, NOW, RawMessage, at, chunk, message, take_in
from tests.support.spoiled_messages import by_definition, spoiled
from tests.support.tables import rows, undone

ON_A_SHARED_DATABASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
"""Each example undoes what it wrote."""

HERE = "45.5, -122.6"
THERE = "45.5, -122.7"


def assert_as_defined(connection: DuckDBPyConnection, messages: Sequence[RawMessage]) -> None:
    """Ingest ``messages``, and compare both tables row for row with the definition."""
    accepted, rejected = by_definition(messages)
    ingested = take_in(connection, messages)
    assert (ingested.accepted, ingested.rejected) == (len(accepted), len(rejected))
    assert accepted == rows(
        connection,
        "SELECT kafka_offset, sensor, created_at, window_start, pm25_cf1, entry_id, pm1_cf1, pm10_cf1, pm25_atm, "
        "temperature, humidity, rssi, uptime, pm25_cf1_b FROM readings ORDER BY kafka_offset",
    )
    assert rejected == rows(
        connection, "SELECT kafka_offset, reason, key, value FROM rejected_messages ORDER BY kafka_offset"
    )


@given(seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=30))
@settings(ON_A_SHARED_DATABASE, max_examples=50)
def test_every_message_becomes_what_the_definition_says(connection: DuckDBPyConnection, seeds: list[int]) -> None:
    with undone(connection):
        assert_as_defined(connection, [spoiled(Random(seed)) for seed in seeds])  # noqa: S311 (no secret)


def test_a_large_chunk_of_spoilt_messages_becomes_what_the_definition_says(connection: DuckDBPyConnection) -> None:
    random = Random(7)  # noqa: S311 (no secret)
    messages = [spoiled(random) for _ in range(20_000)]
    accepted, rejected = by_definition(messages)
    assert min(len(accepted), len(rejected)) > 5_000
    assert len({reason for _, reason, _, _ in rejected}) > 20
    assert_as_defined(connection, messages)


def test_an_empty_chunk_leaves_no_row(connection: DuckDBPyConnection) -> None:
    assert take_in(connection, []) == Ingested(0, 0, 0)
    assert rows(connection, "SELECT * FROM readings UNION ALL BY NAME SELECT * FROM rejected_messages") == []


def test_the_first_of_a_repeated_reading_in_a_chunk_is_the_one_that_counts(connection: DuckDBPyConnection) -> None:
    when = at("2022-07-18 06:00")
    repeated = [message(HERE, when, pm25) for pm25 in (1, 2, 3, 4)]
    dealt = chunk(repeated, partitions=(2, 1)).take([3, 2, 1, 0])
    assert ingest(connection, decode(dealt, NOW, ALLOWANCE), 1, NOW) == Ingested(4, 3, 0)
    marks = rows(connection, "SELECT kafka_partition, kafka_offset, repeated FROM readings ORDER BY ALL")
    assert marks == [(1, 0, False), (1, 1, True), (2, 0, True), (2, 1, True)]


def test_a_reading_that_comes_again_in_a_later_chunk_is_marked(connection: DuckDBPyConnection) -> None:
    when = at("2022-07-18 06:00")
    assert take_in(connection, [message(HERE, when, 1), message(HERE, when + WINDOW_LENGTH, 1)]).repeated == 0
    again = [message(HERE, when, 2), message(THERE, when, 2), message(HERE, when + timedelta(seconds=1), 2)]
    assert ingest(connection, decode(chunk(again, partitions=(3,)), NOW, ALLOWANCE), 2, NOW) == Ingested(3, 1, 0)
    marks = rows(connection, "SELECT sensor, pm25_cf1 FROM readings WHERE repeated")
    assert marks == [(HERE, 2)]


READINGS = st.tuples(st.sampled_from([HERE, THERE]), st.integers(0, 40))


@given(chunks=st.lists(st.lists(READINGS, max_size=12), min_size=1, max_size=5))
@settings(ON_A_SHARED_DATABASE, max_examples=30)
def test_tables_add_up_however_repeats_are_cut_into_chunks(
    connection: DuckDBPyConnection, chunks: list[list[tuple[str, int]]]
) -> None:
    with undone(connection):
        offset, seen, repeats = 0, set(), []
        for readings in chunks:
            messages = [message(sensor, FIRST_WINDOW + timedelta(hours=hours), offset) for sensor, hours in readings]
            take_in(connection, messages, first_offset=offset)
            for reading in readings:
                repeats.append(reading in seen)
                seen.add(reading)
            offset += len(readings)
        marks = rows(connection, "SELECT repeated FROM readings ORDER BY kafka_offset")
        assert [mark for (mark,) in marks] == repeats
        counted = "FROM readings WHERE NOT repeated GROUP BY ALL ORDER BY ALL"
        assert rows(connection, "SELECT window_start, readings FROM windows ORDER BY ALL") == rows(
            connection, f"SELECT window_start, count(*) {counted}"
        )
        assert rows(
            connection, "SELECT sensor, first_reading, last_reading, readings FROM sensors ORDER BY ALL"
        ) == rows(connection, f"SELECT sensor, min(created_at), max(created_at), count(*) {counted}")
        of_windows = Counter(window_start(FIRST_WINDOW + timedelta(hours=hours)) for _, hours in seen)
        assert dict(rows(connection, "SELECT window_start, readings FROM windows")) == of_windows
