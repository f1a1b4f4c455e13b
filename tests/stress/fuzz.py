"""Spoilt messages in large numbers, from the broker to the tables."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.message_fields import OPTIONAL_NUMBERS
from aqi_dagster.pipeline.readings.accounting import unaccounted_messages
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import utc_now
from tests.support.spoiled_messages import by_definition, spoiled
from tests.support.tables import rows
from tests.support.topics import Topic

MESSAGES = 250_000
"""Of `make stress`."""

AT_ONCE = 20_000
"""Messages that are handed to the producer's queue at a time."""


@dataclass(frozen=True)
class Fuzzed:
    """What became of the messages that were sent."""

    sent: int
    accepted: int
    rejected: int
    reasons: int
    lost: int
    doubled: int


def fuzz(broker: EmbeddedBroker, folder: Path, count: int, seed: int) -> Fuzzed:
    """Send ``count`` spoilt messages, pull them, and compare every row with the definition of a reading."""
    random = Random(seed)  # noqa: S311 (no secret)
    topic = Topic(f"fuzz-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    messages = [spoiled(random) for _ in range(count)]
    places = []
    for start in range(0, count, AT_ONCE):
        places += topic.send(messages[start : start + AT_ONCE])
    accepted, rejected = by_definition(messages, utc_now())
    with Store(folder).exclusive() as connection:
        report = pull(connection, topic.reader(chunk_messages=AT_ONCE), PullPolicy())
        assert (report.accepted, report.rejected) == (len(accepted), len(rejected))
        assert unaccounted_messages(connection) == []
        readings = rows(
            connection,
            "SELECT kafka_partition, kafka_offset, sensor, created_at, window_start, pm25_cf1, entry_id, "
            f"{', '.join(OPTIONAL_NUMBERS)} FROM readings ORDER BY 1, 2",
        )
        others = rows(
            connection, "SELECT kafka_partition, kafka_offset, reason, key, value FROM rejected_messages ORDER BY 1, 2"
        )
    assert readings == sorted((*places[number], *row) for number, *row in accepted)
    assert others == sorted(((*places[number], *row) for number, *row in rejected), key=lambda row: row[:2])
    found = Counter(row[:2] for row in readings + others)
    return Fuzzed(
        sent=count,
        accepted=len(readings),
        rejected=len(others),
        reasons=len({row[2] for row in others}),
        lost=len(set(places) - found.keys()),
        doubled=found.total() - len(found),
    )
