"""Running jobs through the Dagster instance from the command line, in this process.

Each run is recorded like one that was launched in the UI: its events, logs and materialized partitions show there.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from uuid import uuid4

import dagster as dg

from aqi_dagster import foreign_warnings
from aqi_dagster.assets.pull_metadata import recorded_numbers
from aqi_dagster.automation import look_now, micro_batch, tell_slack
from aqi_dagster.definitions import defs
from aqi_dagster.errors import RunFailedError
from aqi_dagster.installation import own_command
from aqi_dagster.instance.dead_runs import announce, give_up_dead_runs, tags_of_command
from aqi_dagster.instance.following import follow
from aqi_dagster.instance.troubles import cause_of
from aqi_dagster.partitions import NO_WINDOW_YET, WINDOWS, range_tags
from aqi_dagster.pipeline.reporting.pull_words import PullNumbers

STOP_TIMEOUT_SECONDS = 30.0
"""Time that ``dagster dev`` has after Ctrl-C to end its daemon and code servers before it is killed."""

_DEV_ENVIRONMENT = {
    # A backfill waits for a code server that is being restarted, instead of failing because it knows no assets.
    "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
}

_OF_CODE_LOCATION = {".dagster/repository": "__repository__@aqi_dagster.definitions"}
"""Tag by which the UI finds the runs of a job; Dagster adds it to the runs of its webserver and daemon."""

_STEPS = {
    "readings": "pulls what is new in Kafka",
    "sensor_health": "judges the health of the sensors",
    "scored_readings": "scores each reading",
    "anomalies": "selects what is far above normal",
    "regional_windows": "reaches the verdicts, and publishes the copy",
    "conditions": "pulls what is new in Kafka, and judges the air now",
    "slack_alerts": "sends the alerts that wait",
}
"""What each step of a run does."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


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
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if status is not None:
        raise RunFailedError(f"dagster dev ended by itself with status {status}; its output above says why.")


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


Say = Callable[[str], object]
"""Called with each line that tells of a run while it goes on."""


def run_windows(
    first: str, last: str, on_pulled: Callable[[PullNumbers], None] | None = None, say: Say | None = None
) -> None:
    """Materialize the windows from partition key ``first`` to ``last`` in one run, as a backfill would.

    ``say`` is told what the run does meanwhile. ``on_pulled`` is called with the numbers of the run's pull once the run
    has ended, also if a later step failed. Raises :class:`RunFailedError` with the cause of each failed step.
    """
    if not WINDOWS.get_last_partition_key():
        raise RunFailedError(NO_WINDOW_YET)
    missing = [key for key in (first, last) if not WINDOWS.has_partition_key(key)]
    if missing:
        raise RunFailedError(
            f"There is no window {missing[0]} to materialize: windows go from {WINDOWS.get_first_partition_key()} "
            f"(AQI_FIRST_WINDOW) to {WINDOWS.get_last_partition_key()}, the newest that has ended."
        )
    result = _run(micro_batch.name, range_tags(first, last), say)
    numbers = recorded_numbers(result.all_events)
    if on_pulled is not None and numbers is not None:
        on_pulled(numbers)
    _require_success(result)


def run_look(say: Say | None = None) -> None:
    """Look at the open window. Raises :class:`RunFailedError` with the cause of a failure."""
    _require_success(_run(look_now.name, {}, say))


def run_alerts(say: Say | None = None) -> None:
    """Send the pending alerts. Raises :class:`RunFailedError` with the cause of a failure."""
    _require_success(_run(tell_slack.name, {}, say))


def _run(job: str, tags: dict[str, str], say: Say | None) -> dg.ExecuteInProcessResult:
    definition = defs().resolve_job_def(job)
    run_id = str(uuid4())
    with dg.DagsterInstance.get() as instance:
        give_up_dead_runs(instance)
        if say is not None:
            follow(instance, run_id, _STEPS, say)
        with announce(instance, run_id):
            return definition.execute_in_process(
                run_config=_QUIET,
                instance=instance,
                run_id=run_id,
                tags=tags | tags_of_command(run_id) | _OF_CODE_LOCATION,
                raise_on_error=False,
            )


def _require_success(result: dg.ExecuteInProcessResult) -> None:
    if result.success:
        return
    failures = [event for event in result.all_events if event.is_step_failure]
    causes = [f"{event.step_key}: {cause_of(event.step_failure_data.error)}" for event in failures]
    raise RunFailedError(f"Run {result.run_id} of {result.job_def.name} failed. " + "; ".join(causes))
