"""Serving Dagster's pages and the page for people on this machine, each by a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from aqi_dagster import foreign_warnings
from aqi_dagster.errors import RunFailedError
from aqi_dagster.installation import own_command
from aqi_dagster.processes import end_process

STOP_TIMEOUT_SECONDS = 30.0
"""Time that ``dagster dev`` has after Ctrl-C to end its daemon and code servers before it is killed."""

_DEV_ENVIRONMENT = {
    # A backfill waits for a code server that is being restarted, instead of failing because it knows no assets.
    "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
}


def require_free(port: int, option: str = "--port") -> None:
    """Raise :class:`RunFailedError` if something listens on ``port`` of 127.0.0.1, which ``option`` sets.

    ``dagster dev`` itself reports that in one line among many and continues without its pages.
    """
    with socket.socket() as probe:
        # As the webserver binds it: recently closed connections do not keep the port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            raise RunFailedError(
                f"Port {port} of 127.0.0.1 cannot be had ({error.strerror}): end what listens there, perhaps another "
                f"`aqi-dagster dev`, or take another port: {own_command()} dev {option} {port + 1}"
            ) from error


@contextmanager
def page_beside(port: int, dagster_port: int) -> Iterator[None]:
    """Serve the page for people on ``port`` of 127.0.0.1 for the time of the block; not at all if that is 0.

    It is a process of its own, which links to Dagster's pages on ``dagster_port`` unless AQI_DAGSTER_URL names others.
    """
    if not port:
        yield
        return
    process = subprocess.Popen(  # noqa: S603 (our own words)
        [sys.executable, "-m", "aqi_dagster.cli", "web", "--port", str(port)],
        env={"AQI_DAGSTER_URL": f"http://127.0.0.1:{dagster_port}", **os.environ},
        # A group of its own: Ctrl-C reaches this process alone, which ends the page.
        process_group=0,
    )
    try:
        yield
    finally:
        end_process(process, STOP_TIMEOUT_SECONDS)


def serve(port: int, folder: Path = Path()) -> None:
    """Run ``dagster dev`` on 127.0.0.1 in ``folder`` until it ends or is interrupted.

    Raises :class:`RunFailedError` if it ends by itself, as it does when one of its processes dies.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs with SIGINT ignored; dagster's processes inherit that, and end by SIGINT alone.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # By default Python ends at once and leaves dagster running.
        signal.signal(number, _exit_on_signal)
    dagster = [sys.executable, "-m", "aqi_dagster.instance"]
    process = subprocess.Popen(  # noqa: S603 (our own words)
        [*dagster, "dev", "-h", "127.0.0.1", "-p", str(port), "-m", "aqi_dagster.definitions"],
        cwd=folder,
        env=os.environ | _DEV_ENVIRONMENT | foreign_warnings.environment(),
    )
    status = None
    try:
        status = process.wait()
    except KeyboardInterrupt:
        # The terminal's Ctrl-C reached dagster too, which is ending its own processes.
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_SECONDS)
    finally:
        end_process(process, STOP_TIMEOUT_SECONDS)
    if status is not None:
        raise RunFailedError(f"dagster dev ended by itself with status {status}; its output above says why.")


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
