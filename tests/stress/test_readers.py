"""Analysts who read the published copy without pause while the pipeline writes: neither side notices the other."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.stress.crashes import Installation
from tests.support.messages import FIRST_WINDOW, message
from tests.support.slack_server import slack_server
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

SENSORS = [f"45.{number}, -122" for number in range(4)]
WINDOWS = 100
REPLACEMENTS = 10

READS = """
import json, select, sys
import duckdb

BOOKS = '''
SELECT
    (SELECT count(*) FROM windows WHERE scored IS NOT NULL),
    (SELECT count(*) FROM readings) + (SELECT count(*) FROM rejected_messages)
        - (SELECT coalesce(sum(messages), 0) FROM kafka_offsets),
    (SELECT count(*) FROM regional_windows ANTI JOIN slack_alerts USING (region, window_start, verdict))
'''
copy, held_for = sys.argv[1], float(sys.argv[2])
reads, opened, seen, last = 0, 0, set(), False
while not last:
    with duckdb.connect(copy, read_only=True) as connection:
        opened += 1
        before, queries = None, 0
        while queries < held_for and not last:
            (answer,) = connection.execute(BOOKS).fetchall()
            windows, unaccounted, untold = answer
            assert unaccounted == untold == 0, answer
            assert before in (None, answer), f"{answer} after {before} on one connection"
            before, queries, reads = answer, queries + 1, reads + 1
            if windows not in seen:
                seen.add(windows)
                print(windows, flush=True)
            last = bool(select.select([sys.stdin], [], [], 0)[0])
print(json.dumps({"reads": reads, "opened": opened, "seen": sorted(seen)}))
"""


@contextmanager
def reader(copy: Path, held_for: float) -> Iterator[subprocess.Popen[str]]:
    """A process that queries ``copy``, which has no window yet; opens it anew every ``held_for`` times."""
    command = [sys.executable, "-c", READS, str(copy), str(held_for)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            await_windows(process, 0)
            yield process
        finally:
            process.kill()


def await_windows(process: subprocess.Popen[str], count: int) -> None:
    """Return once a reader has seen another number of scored windows than before, which must be ``count``."""
    assert process.stdout is not None
    assert process.stdout.readline() == f"{count}\n"


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a reader saw, once it is told to end."""
    told, _ = process.communicate("end\n", timeout=LIMIT_SECONDS)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(told)
    return found


def publish(store: Store) -> None:
    """Replace the published copy, though by an equal one."""
    with store.exclusive():
        pass
    assert store.publish()


@pytest.mark.long
def test_three_readers_and_a_backfill_of_a_hundred_windows_do_not_disturb_each_other(
    topic: Topic, tmp_path: Path
) -> None:
    spikes = range(100, WINDOWS * 12, 200)
    for partition, sensor in enumerate(SENSORS):
        times = [(hour, FIRST_WINDOW + timedelta(hours=hour)) for hour in range(WINDOWS * 12)]
        topic.send([message(sensor, time, 900 if hour in spikes else 3 + hour % 5) for hour, time in times], partition)
    last = window_key(FIRST_WINDOW + (WINDOWS - 1) * WINDOW_LENGTH)
    with slack_server() as slack:
        installation = Installation.make(tmp_path / "installation", topic, slack)
        store = Store(installation.published.parent)
        publish(store)
        copy = installation.published
        with reader(copy, 1) as anew, reader(copy, 50) as now_and_then, reader(copy, float("inf")) as held_open:
            assert not installation.run(["materialize", "--from", window_key(FIRST_WINDOW), "--to", last])
            for process in (anew, now_and_then):
                await_windows(process, WINDOWS)
            for _ in range(REPLACEMENTS):
                publish(store)
            saw = [ended(process) for process in (anew, now_and_then, held_open)]
    assert [found["seen"] for found in saw] == [[0, WINDOWS], [0, WINDOWS], [0]]
    assert saw[0]["opened"] == saw[0]["reads"] > REPLACEMENTS
    assert saw[1]["opened"] > 1
    assert saw[2]["opened"] == 1
