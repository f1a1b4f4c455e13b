"""Progress: what people see of work that takes long, on a terminal, in a file and in the log of a run."""

import itertools
import os
import subprocess
import sys
import termios
import threading
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster import progress
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.progress import LONGEST_PAUSE, Lines
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.command_line import Site
from tests.support.jobs import MicroBatch
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS

WINDOWS = 6

WORK = """
import time
from aqi_dagster import progress

progress.FIRST_AFTER = 0.05
with progress.on_terminal() as shown:
    for _ in progress.watched(range(10), "things done", 10, shown):
        time.sleep(0.03)
"""


def messages(count: int) -> list[RawMessage]:
    times = [FIRST_WINDOW + number * WINDOW_LENGTH * WINDOWS / count for number in range(count)]
    return [message(f"45.{number % 8}, -122", time, number % 9) for number, time in enumerate(times)]


def lines_of(hours: float, step: float, total: int | None) -> list[tuple[float, str]]:
    """The moments and lines of a stage that lasts so long, with a report every ``step`` seconds."""
    now, said = 0.0, []
    lines = Lines(lambda line: said.append((now, line)), clock=lambda: now)
    reports = round(hours * 3600 / step)
    for number in range(reports + 1):
        now = number * step
        lines("messages read", number, reports if total is None else total)
    return said


def test_an_hour_of_work_has_few_lines_and_none_at_its_beginning() -> None:
    said = lines_of(1, 0.01, None)
    assert 60 <= len(said) <= 75
    moments = [moment for moment, _ in said]
    assert 2.0 <= moments[0] < 2.1
    pauses = [round(later - before) for before, later in itertools.pairwise(moments)][:-1]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert said[30][1].startswith("messages read: ")
    assert said[-1] == (3600.0, "messages read: all 360,000, in 1 h 0 min")


def test_work_that_ends_soon_says_nothing() -> None:
    assert lines_of(1.9 / 3600, 0.1, None) == []


def test_a_stage_that_begins_again_is_timed_anew() -> None:
    reports = [
        *[(0.0, "one", 0), (9.0, "one", 5)],
        *[(10.0, "two", 0), (11.0, "two", 1), (14.0, "two", 2)],
        *[(15.0, "two", 0), (18.0, "two", 1)],
    ]
    moments, said = iter([moment for moment, _, _ in reports]), list[str]()
    lines = Lines(said.append, clock=lambda: next(moments))
    for _, stage, done in reports:
        lines(stage, done, 10)
    assert said == [
        "one: 5 of 10 (50 %), about 9 s left",
        "two: 2 of 10 (20 %), about 16 s left",
        "two: 1 of 10 (10 %), about 27 s left",
    ]


def test_without_a_terminal_there_are_plain_lines() -> None:
    told = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert (told.returncode, told.stdout) == (0, "")
    first, *_, last = told.stderr.splitlines()
    assert first.startswith("things done: ")
    assert " of 10 (" in first
    assert last.startswith("things done: all 10, in ")
    assert "\r" not in told.stderr


def test_on_a_terminal_there_is_a_bar() -> None:
    ours, its = os.openpty()
    termios.tcsetwinsize(its, (25, 80))
    assert subprocess.run([sys.executable, "-c", WORK], stderr=its, timeout=LIMIT_SECONDS).returncode == 0
    os.close(its)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "things done: 100%" in shown
    assert "10.0/10.0" in shown


def test_a_pull_tells_how_much_of_the_topic_was_read(topic: Topic, connection: DuckDBPyConnection) -> None:
    topic.send(messages(1000))
    pull(connection, topic.reader(), PullPolicy())
    topic.send(messages(500), partition=1)
    reports: list[tuple[str, int, int | None]] = []
    threads = set()

    def note(stage: str, done: int, total: int | None = None, /) -> None:
        reports.append((stage, done, total))
        threads.add(threading.current_thread())

    pull(connection, topic.reader(chunk_messages=100), PullPolicy(), note)
    # Only what was not there before, and in the thread that writes: a log need not bear another one.
    assert reports[0] == ("messages read", 0, None)
    assert reports[-1] == ("messages read", 500, 500)
    counts = [done for _, done, _ in reports]
    assert counts == sorted(counts)
    assert len(counts) >= 5
    assert threads == {threading.main_thread()}


def test_the_log_of_a_run_tells_how_far_it_is(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setattr(progress, "FIRST_AFTER", 0.0)
    monkeypatch.setenv("KAFKA_CHUNK_MESSAGES", "100")
    topic.send(messages(1000))
    job = MicroBatch(topic, tmp_path, monkeypatch, instance)
    result = job.run(window_key(FIRST_WINDOW), window_key(FIRST_WINDOW + (WINDOWS - 1) * WINDOW_LENGTH))
    log = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]
    for stage, total in [
        ("messages read", 1000),
        ("windows scored", WINDOWS),
        ("windows whose sensors were judged", WINDOWS),
        ("windows classified", WINDOWS),
    ]:
        first, *rest = [line for line in log if line.startswith(f"{stage}: ")]
        assert first.startswith(f"{stage}: 0 ")
        assert rest[-1].startswith(f"{stage}: all {total:,}, in ")
        # Not one for each chunk or window: the pauses between lines grow.
        assert len(rest) <= 2


def test_materialize_tells_what_it_does_and_which_alerts_wait(topic: Topic, tmp_path: Path) -> None:
    site = Site(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": topic.servers, "KAFKA_TOPIC": topic.name, "AQI_RULES": "network"})
    hours = [FIRST_WINDOW + number * timedelta(minutes=20) for number in range(3 * 36)]
    topic.send([message(f"45.{n}, -122", hour, 200 + 9 * hour.hour + n) for hour in hours for n in range(3)])
    last = window_key(FIRST_WINDOW + 2 * WINDOW_LENGTH)
    told = site.run("materialize", "--from", window_key(FIRST_WINDOW), "--to", last)
    steps = [line.split()[0] for line in told.stderr.splitlines() if line.endswith(" ...")]
    assert steps[0] == "readings"
    assert steps[-1] == "regional_windows"
    assert {"scored_readings", "sensor_health", "anomalies"} == set(steps[1:-1])
    assert "  Pulled 324 messages: " in told.stderr
    assert "alerts are pending: a running `aqi-dagster dev` sends" in told.stdout
    assert f"- smoke (Lake Tahoe, window {last})" in told.stdout.splitlines()
