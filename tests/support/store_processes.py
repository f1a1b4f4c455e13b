"""Other processes that open a store: Python that runs beside a test, speaks with it, and ends with it at the latest."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aqi_dagster.pipeline.store.connections import Store
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS

PREAMBLE = f"""
import sys, time
from pathlib import Path
from aqi_dagster.pipeline.store.connections import Store
store = Store(Path(sys.argv[1]), lock_timeout={LIMIT_SECONDS})
def say(word):
    print(word, flush=True)
def listen():
    return sys.stdin.readline().strip()
"""

WRITES_UNTIL_TOLD = """
with store.exclusive() as connection:
    insert = "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES (?, now(), now(), 1)"
    connection.execute(insert, ["committed"])
    connection.execute("BEGIN")
    connection.execute(insert, ["open"])
    say("in transaction")
    listen()
"""


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Python that runs ``code``; killed at the end if it did not end by itself."""
    command = [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as running:
        try:
            yield running
        finally:
            running.kill()


def hear(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def tell(running: subprocess.Popen[str], word: str = "go on") -> None:
    assert running.stdin is not None
    running.stdin.write(word + "\n")
    running.stdin.flush()


def add(store: Store, sensor: str) -> None:
    with store.exclusive() as connection:
        connection.execute(
            "INSERT INTO sensors (sensor, first_reading, last_reading, readings) VALUES (?, now(), now(), 1)",
            [sensor],
        )


def sensors(store: Store) -> list[str]:
    with store.inspect() as connection:
        return [sensor for (sensor,) in rows(connection, "SELECT sensor FROM sensors ORDER BY ALL")]
