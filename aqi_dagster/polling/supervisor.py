"""Feeds beside the pipeline: a process for each, started again when it dies, as AQI_FEED names them."""

import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from aqi_dagster.errors import ConfigurationError
from aqi_dagster.polling.exits import GIVEN_UP, SUPERVISOR
from aqi_dagster.processes import end_process

KINDS = ("purpleair", "local")

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds before a feed is started again: more each time, as long as it dies within the longest."""

STOP_SECONDS = 10.0

_log = logging.getLogger(__name__)


def feeds_of(text: str) -> list[list[str]]:
    """The feeds that AQI_FEED names, each as the arguments of ``aqi-dagster feed``; else ``ConfigurationError``.

    >>> feeds_of("purpleair --indices 30001,30002; local http://192.168.1.20")
    [['purpleair', '--indices', '30001,30002'], ['local', 'http://192.168.1.20']]
    """
    try:
        feeds = [words for part in text.split(";") if (words := shlex.split(part))]
    except ValueError as error:
        raise ConfigurationError(f"AQI_FEED={text!r}: {error}. docs/feeds.md has examples.") from None
    kinds = [words[0] for words in feeds]
    if any(kind not in KINDS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise ConfigurationError(
            f"AQI_FEED={text!r}: it takes `purpleair ...` and `local ...`, each at most once, with a semicolon between "
            "them. docs/feeds.md has examples."
        )
    return feeds


@contextmanager
def fed(feeds: Sequence[Sequence[str]]) -> Iterator[list[threading.Thread]]:
    """Run ``feeds`` for the time of the block, which gets the threads that watch them."""
    watchers = [_Watcher(feed) for feed in feeds]
    threads = [threading.Thread(target=watcher.watch, name=f"feed {watcher.kind}") for watcher in watchers]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for watcher in watchers:
            watcher.stop()
        for thread in threads:
            thread.join()


def run_feeds(feeds: Sequence[Sequence[str]]) -> int:
    """Run ``feeds`` until all have ended, or this process is told to end; returns the exit status."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    with fed(feeds) as threads:
        for thread in threads:
            thread.join()
    return GIVEN_UP


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class _Watcher:
    """Runs one feed, again and again."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.kind = arguments[0]
        self._command = [sys.executable, "-m", "aqi_dagster.polling", *arguments]
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Start the feed, and start it again until it is stopped or gives up."""
        pause = FIRST_PAUSE
        while not self._ending.is_set():
            with self._lock:
                if self._ending.is_set():
                    return
                environment = os.environ | {SUPERVISOR: str(os.getpid())}
                # A group of its own: Ctrl-C reaches this process alone, which ends the feed.
                self._process = subprocess.Popen(self._command, env=environment, process_group=0)  # noqa: S603
            status = self._process.wait()
            if self._ending.is_set():
                return
            if status in (0, GIVEN_UP):
                _log.error("The feed %s has ended; what it said last says why.", self.kind)
                return
            _log.warning("The feed %s died (status %d); it starts again in %.0f s.", self.kind, status, pause)
            self._ending.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def stop(self) -> None:
        """End the feed."""
        self._ending.set()
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        end_process(process, STOP_SECONDS)
