"""Dagster's own faults: whatever is cancelled or killed, the next run goes on and no slot of a pool stays taken."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.summer import Summer
from aqi_dagster.feeds.producer import produce
from aqi_dagster.partitions import FIRST_WINDOW, range_tags
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.dagster_dev import DagsterDev, dagster_dev
from tests.support.lacking import lacking
from tests.support.places import TOP
from tests.support.processes import listening, with_descendants
from tests.support.secrets import TOKEN, places_of
from tests.support.slack_server import Slack, slack_server
from tests.support.topics import Topic
from tests.support.waiting import LIMIT_SECONDS, wait_for

KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(4)]

CANCEL = """
mutation ($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) { __typename } }
"""

SLOTS = """
{ instance { concurrencyLimits { concurrencyKey claimedSlots { runId } } } }
"""


def launch(server: DagsterDev, job: str, **tags: str) -> str:
    """Launch a run of ``job``, for all windows if it has any; returns its id."""
    windows = range_tags(KEYS[0], KEYS[-1]) if job == "micro_batch" else {}
    return server.launch(job, windows | {key.replace("_", "/", 1): value for key, value in tags.items()})


def slots(server: DagsterDev) -> dict[str, list[str]]:
    """The runs that hold a slot, by pool."""
    limits = server.query(SLOTS)["instance"]["concurrencyLimits"]
    return {limit["concurrencyKey"]: [slot["runId"] for slot in limit["claimedSlots"]] for limit in limits}


def await_slot(server: DagsterDev, pool: str, run: str | None = None) -> str:
    """Return the run that holds the pool's slot, once ``run`` does, or any if it is None."""

    def holder() -> str | None:
        held = slots(server).get(pool, [])
        return held[0] if held and run in (None, held[0]) else None

    return str(wait_for(f"slot of {pool}", holder))


def processes(server: DagsterDev, *words: str) -> list[int]:
    """Those of `dagster dev` whose command line holds all of ``words``."""
    found = []
    for process in sorted(with_descendants(server.process.pid)):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if all(word in command for word in words):
                found.append(process)
    return found


def worker(server: DagsterDev) -> int:
    """The newest process that executes a run."""
    return processes(server, "multiprocessing.spawn")[-1]


def code_servers(server: DagsterDev) -> list[int]:
    """The processes that hold the definitions."""
    return processes(server, "code-server start") + processes(server, "dagster api grpc")


class Services:
    """One installation, whose `dagster dev` may be started more than once."""

    def __init__(self, folder: Path, topic: Topic, slack: Slack, ops: Slack, port: int) -> None:
        self.folder = folder
        self.store = Store(folder / "data")
        self.slack = slack
        self.ops = ops
        self._port = port
        self._settings = {
            "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
            "KAFKA_TOPIC": topic.name,
            "SLACK_WEBHOOK_URL": slack.url,
            "SLACK_OPS_WEBHOOK_URL": ops.url,
        }

    def dev(self) -> contextlib.AbstractContextManager[DagsterDev]:
        return dagster_dev(self.folder, self._settings, self._port)


@pytest.fixture
def services(broker: EmbeddedBroker, tmp_path: Path, unused_port: int) -> Iterator[Services]:
    """An installation on a topic with the first days of a synthetic summer."""
    topic = Topic(f"faults-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    messages = Summer(FIRST_WINDOW).messages(FIRST_WINDOW, FIRST_WINDOW + timedelta(days=2))
    produce({"bootstrap.servers": topic.servers}, topic.name, messages)
    with slack_server() as slack, slack_server() as ops:
        yield Services(tmp_path, topic, slack, ops, unused_port)


@pytest.mark.long
@pytest.mark.timeout(1800)  # it waits a dozen times for what Dagster looks after every half minute
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason=lacking("a list of processes, as Linux has it"))
def test_cancelled_and_killed_runs_and_servers_leave_no_slot_taken_and_the_next_run_goes_on(services: Services) -> None:
    store = services.store
    with services.dev() as server:
        assert listening(server.process.pid) == {"127.0.0.1"}
        # Runs wait for the store, and alerts for their turn, for as long as this test holds the locks.
        with store.exclusive(), store.dispatching():
            backfill = server.launch_backfill(KEYS)

            cancelled = launch(server, "tell_slack")
            await_slot(server, "slack", cancelled)
            server.query(CANCEL, id=cancelled)
            wait_for("cancellation", lambda: server.status(cancelled) == "CANCELED")
            assert slots(server)["slack"] == []

            killed = launch(server, "tell_slack")
            await_slot(server, "slack", killed)
            os.kill(worker(server), signal.SIGKILL)
            wait_for("failure", lambda: server.status(killed) == "FAILURE")

            of_backfill = await_slot(server, "duckdb")
            killed_servers = code_servers(server)
            for process in killed_servers:
                os.kill(process, signal.SIGKILL)
            wait_for("new code server", lambda: set(processes(server, "dagster api grpc")) - set(killed_servers))
        # What ran goes on without the server that had launched it, and what was killed is tried again.
        wait_for("success", lambda: server.status(of_backfill) == "SUCCESS")
        (retried,) = [run["runId"] for run in server.runs() if run["rootRunId"] == killed and run["runId"] != killed]
        wait_for("success", lambda: server.status(retried) == "SUCCESS")
        assert wait_for("end of the backfill", lambda: server.end_of_backfill(backfill)) == "COMPLETED_SUCCESS"
        assert {stats["numMaterialized"] for stats in server.partitions().values()} == {len(KEYS)}
        assert wait_for("message to Slack", lambda: services.slack.texts)
        wait_for("free slots", lambda: not any(slots(server).values()))

        with store.exclusive():
            dead = launch(server, "micro_batch", dagster_max_runtime="20")
            await_slot(server, "duckdb", dead)
            (daemon,) = processes(server, "dagster._daemon")
            left_behind = [worker(server), *code_servers(server)]
            os.kill(daemon, signal.SIGKILL)
            # Without its daemon `dagster dev` ends, and says so to whoever has to start it again.
            assert server.process.wait(LIMIT_SECONDS) == 1
            for process in left_behind:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
    with services.dev() as server:
        next_one = launch(server, "micro_batch")
        wait_for("failure", lambda: server.status(dead) == "FAILURE")
        wait_for("success", lambda: server.status(next_one) == "SUCCESS")
        wait_for("free slots", lambda: not any(slots(server).values()))
    assert places_of(TOKEN, services.folder) == []


def test_a_run_that_died_with_its_machine_gives_way_before_the_next_tick(tmp_path: Path) -> None:
    shutil.copy(TOP / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert 3600 < instance.run_monitoring_max_runtime_seconds < WINDOW_LENGTH.total_seconds() / 2
