"""The command line in a process that is to be killed: it knows where it is, and may kill itself at a named place.

Nothing of the pipeline is changed for it but its clock, where that is to be wrong: watched are its calls to DuckDB, to
Kafka's client, to the webhook and, while it publishes, to the file system.
"""

import ctypes
import faulthandler
import functools
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import duckdb

from aqi_dagster.cli import main
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.topic import reader as consuming
from tests.support.clocks import set_clock_off
from tests.support.waiting import LIMIT_SECONDS

with warnings.catch_warnings(action="ignore"):
    # What the commands import when they are called; here before the fork, so that a process is there at once.
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401

    import aqi_dagster.runs  # noqa: F401

BEFORE = "before the first commit"
CONSUMING = "while consuming"
TRANSACTION = "inside a transaction"
COMMITTED = "between commit and publish"
PUBLISHING = "while publishing"
ASKING = "while Slack is asked"
ANSWERED = "between Slack's answer and its record"
PUBLISHED = "after publishing"
JUDGED = "between judging the air and storing it"
QUEUING = "while what is to be told is queued"

DAGSTER_ASSET = ("dagster", "asset")

HANGS_AFTER_SECONDS = LIMIT_SECONDS - 10
"""When a command that does not end says where it hangs."""

WITH_THE_FIRST_WINDOW = tuple(
    f"aqi_dagster.{name}" for name in ("partitions", "assets", "automation", "definitions", "runs")
)
"""Modules that know the first window from when they were imported."""

PLACES = [BEFORE, CONSUMING, TRANSACTION, COMMITTED, PUBLISHING, ASKING, ANSWERED, PUBLISHED]

STATEMENTS = {"DELETE FROM conditions": JUDGED, "INSERT INTO slack_alerts": QUEUING}
"""Statements of which some are places of their own, and by what text they are known."""


class Doom(NamedTuple):
    """Where a process kills itself: the ``count``-th time that it comes by ``place``."""

    place: str
    count: int


class State(ctypes.Structure):
    """Where the process is, in memory that outlives it."""

    _fields_ = (
        ("consuming", ctypes.c_bool),
        ("in_transaction", ctypes.c_bool),
        ("committed", ctypes.c_bool),
        ("publishing", ctypes.c_bool),
        ("published", ctypes.c_bool),
        ("answered", ctypes.c_bool),
        ("telling", ctypes.c_char * 400),
    )

    @property
    def place(self) -> str:
        """The place among :data:`PLACES`; two threads may be at two, and then the one where more is at stake counts."""
        if self.telling:
            return ANSWERED if self.answered else ASKING
        if self.publishing:
            return PUBLISHING
        if self.in_transaction:
            return TRANSACTION
        if self.consuming:
            return CONSUMING
        if self.committed:
            return COMMITTED
        return PUBLISHED if self.published else BEFORE


class _Reaper:
    """Kills this process when its doom has come."""

    def __init__(self, doom: Doom | None) -> None:
        self._place, self._left = doom or (None, 0)

    def pass_by(self, place: str) -> None:
        """Note that the process comes by ``place``."""
        if place == self._place:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    doom: Doom | None,
    clock_off: timedelta | None,
    state: State,
) -> None:
    """Be the command ``arguments`` in ``folder``; what it prints goes to the file ``log`` there.

    It is ``aqi-dagster``, or ``dagster asset`` if ``arguments`` begin so. ``clock_off``: how far its clock is ahead.
    """
    os.chdir(folder)
    os.environ.update(environment)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS)
    if "AQI_FIRST_WINDOW" in environment:
        for name in [name for name in sys.modules if name.startswith(WITH_THE_FIRST_WINDOW)]:
            del sys.modules[name]
    if clock_off is not None:
        set_clock_off(clock_off)
    reaper = _Reaper(doom)
    _watch_kafka(reaper, state)
    _watch_duckdb(reaper, state)
    _watch_publishing(reaper, state)
    _watch_slack(reaper, state)
    if tuple(arguments[:2]) == DAGSTER_ASSET:
        from dagster._cli.asset import asset_cli

        asset_cli(list(arguments[2:]), prog_name="dagster asset")
    else:
        main(list(arguments), prog_name="aqi-dagster")


def _watch_kafka(reaper: _Reaper, state: State) -> None:
    class Consumer(consuming.Consumer):
        def consume(self, *arguments: Any) -> Any:
            state.consuming = True
            messages = super().consume(*arguments)
            if messages:
                reaper.pass_by(CONSUMING)
            return messages

        def close(self) -> None:
            super().close()
            state.consuming = False

    consuming.Consumer = Consumer  # type: ignore[misc]


def _watch_duckdb(reaper: _Reaper, state: State) -> None:
    class Connection:
        def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._connection.close()

        def execute(self, query: Any, *arguments: Any) -> Any:
            if state.in_transaction:
                reaper.pass_by(TRANSACTION)
            said = getattr(query, "query", query)
            place = next((place for text, place in STATEMENTS.items() if text in said), "")
            reaper.pass_by(place)
            result = self._connection.execute(query, *arguments)
            reaper.pass_by(place)
            if query in ("BEGIN", "ROLLBACK"):
                state.in_transaction = query == "BEGIN"
            elif query == "COMMIT":
                state.in_transaction, state.committed, state.published = False, True, False
                state.answered, state.telling = False, b""
                reaper.pass_by(COMMITTED)
            return result

    connect = duckdb.connect
    duckdb.connect = lambda *arguments, **options: Connection(connect(*arguments, **options))


def _watch_publishing(reaper: _Reaper, state: State) -> None:
    """Comes by before and after each call that makes a copy or makes it last, whichever of them publishing uses."""

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def watch(*arguments: Any, **options: Any) -> Any:
            if state.publishing:
                reaper.pass_by(PUBLISHING)
            result = call(*arguments, **options)
            if state.publishing:
                reaper.pass_by(PUBLISHING)
            return result

        return watch

    for name in ("open", "pwrite", "write", "copy_file_range", "sendfile", "ftruncate", "fsync", "replace", "rename"):
        setattr(os, name, watched(getattr(os, name)))
    io.open = watched(io.open)  # which pathlib calls
    publish = Store.publish

    def watched_publish(store: Store) -> bool:
        state.publishing = True
        reaper.pass_by(PUBLISHING)
        replaced = publish(store)
        state.publishing, state.committed, state.published = False, False, True
        return replaced

    Store.publish = watched_publish  # type: ignore[method-assign]


def _watch_slack(reaper: _Reaper, state: State) -> None:
    post = Webhook.post

    def watched_post(webhook: Webhook, payload: dict[str, Any]) -> None:
        state.answered, state.telling = False, payload["text"].encode()
        reaper.pass_by(ASKING)
        post(webhook, payload)
        state.answered = True
        reaper.pass_by(ANSWERED)

    Webhook.post = watched_post  # type: ignore[method-assign]
