"""Many large messages that are no readings, and a store that may hold little in memory: nothing stops for good."""

import os
from pathlib import Path

from aqi_dagster.pipeline.readings.accounting import missing_offsets, unaccounted_messages
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.readings.retake import retake_all
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import utc_now
from tests.support.messages import ALLOWANCE, FIRST_WINDOW, RawMessage, message
from tests.support.tables import rows
from tests.support.topics import Topic

MEMORY_MB = 128

LARGE = 900_000
"""Bytes of a message that is no reading: hardly less than a broker takes by default."""


def test_large_rejected_messages_need_little_memory_however_many_they_are(topic: Topic, tmp_path: Path) -> None:
    noise = os.urandom(LARGE - 10)
    large: list[RawMessage] = [(b'"45.5, -122.6"', b"\xff%d" % number + noise) for number in range(112)]
    topic.send([*large, message("45.5, -122.6", FIRST_WINDOW, 5)], partition=0)
    store = Store(tmp_path, memory_limit=MEMORY_MB)
    with store.exclusive() as writer:
        report = pull(writer, topic.reader(), PullPolicy())
    assert (report.accepted, report.rejected) == (1, len(large))
    with store.exclusive() as writer:
        writer.execute("UPDATE rejected_messages SET reason = 'of an older release' WHERE kafka_offset < 30")
        assert (retake_all(writer, utc_now(), ALLOWANCE).messages) == len(large)
        reasons = rows(writer, "SELECT reason, count(*) FROM rejected_messages GROUP BY ALL")
        assert reasons == [("value is not UTF-8", len(large))]
        assert unaccounted_messages(writer) + missing_offsets(writer) == []
