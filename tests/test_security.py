"""What a real installation leaves behind: no secret, files only for whom they are, and harmful input as mere text."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import duckdb
import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from tests.support.command_line import Site
from tests.support.lacking import lacking
from tests.support.messages import FIRST_WINDOW, message
from tests.support.places import TOP
from tests.support.processes import listening
from tests.support.secrets import TOKEN, places_of
from tests.support.slack_server import PATH, Answer, Slack, headlines, slack_server
from tests.support.tables import rows
from tests.support.topics import Topic

RANGE = ("--from", "2022-07-18", "--to", "2022-07-18T12:00")

PASSWORD = f"password-{uuid4().hex}"


REGION = "L'Aquila \"e\" dintorni'); DROP TABLE readings; -- <!channel> & {0} %s $1"

HARMFUL_KEYS = [
    b'"\'; DROP TABLE readings; --"',
    b'"45.1, -122\'); DELETE FROM kafka_offsets; --"',
    b'"$sensor"',
    b'"45.1, -122; 45.2, -122"',
    b'"\\"45.1, -122\\""',
    b'"\\u0000"',
]
"""Keys that are no coordinates, and would be something else wherever they became part of a statement."""

ODD_SENSORS = {"45.1,\t-122": "45.1, -122", "45.2\r\n,\n-122": "45.2, -122"}
"""Coordinates all the same: key to sensor."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@dataclass(frozen=True)
class History:
    """An installation with secrets, what Slack was sent, and its runs, by what became of them."""

    site: Site
    slack: Slack
    runs: dict[str, CompletedProcess[str]]


@pytest.fixture(scope="module")
def history(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Readings of a day among messages that mean harm, and runs of which some fail."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(TOP / "dagster.yaml", folder)
    topic = Topic(f"harmful-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    times = [FIRST_WINDOW + number * timedelta(minutes=10) for number in range(144)]
    for sensor in ODD_SENSORS:
        topic.send([message(sensor, time, 900.0 if time == times[100] else 5.0) for time in times], partition=0)
    _, value = message("any", FIRST_WINDOW, 5.0)
    topic.send([(key, value) for key in HARMFUL_KEYS], partition=1)
    login = {
        "KAFKA_CONFIG_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_CONFIG_SASL_MECHANISM": "PLAIN",
        "KAFKA_CONFIG_SASL_USERNAME": "pipeline",
    }
    with slack_server() as slack, socket.socket() as deaf, ThreadPoolExecutor(1) as aside:
        deaf.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{deaf.getsockname()[1]}"
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": topic.servers,
            "KAFKA_TOPIC": topic.name,
            "KAFKA_TIMEOUT_SECONDS": "2",
            "KAFKA_CONFIG_SASL_PASSWORD": PASSWORD,
            "SLACK_WEBHOOK_URL": slack.url,
            "AQI_REGION": REGION,
        }

        def run(*arguments: str, **changes: str) -> CompletedProcess[str]:
            return Site(folder, settings | changes).run(*arguments, check=False)

        slack.answers = [Answer(404, f"no service at {slack.url}"), Answer()]
        runs = {"materialized": run("materialize", *RANGE), "refused by Slack": run("alert")}
        # It waits most of the time before it tries again.
        unanswered = aside.submit(run, "alert", SLACK_WEBHOOK_URL=f"http://{nobody}{PATH}")
        runs["login refused"] = run("materialize", *RANGE, **login)
        runs["no Kafka"] = run("materialize", *RANGE, KAFKA_BOOTSTRAP_SERVERS=nobody)
        runs["no Slack"] = unanswered.result()
        runs["told"] = run("alert")
        yield History(Site(folder, settings), slack, runs)


def test_runs_that_succeed_and_runs_that_fail_keep_the_secrets_to_themselves(history: History) -> None:
    statuses = {name: run.returncode for name, run in history.runs.items()}
    assert {name for name, status in statuses.items() if status == 0} == {"materialized", "told"}, history.runs
    assert "HTTP 404" in history.runs["refused by Slack"].stderr
    assert "no answer (ConnectionError)" in history.runs["no Slack"].stderr
    assert "does not let this client in" in history.runs["login refused"].stderr
    assert "did not describe topic" in history.runs["no Kafka"].stderr
    folder = history.site.folder
    # The search sees what is packed, too: the jobs' resources, errors of runs, rows of tables.
    for known, place in [("sasl.password", "snapshots"), ("HTTP 404", "event_logs"), ("took it", "slack_alerts")]:
        assert any(place in found for found in places_of(known, folder)), known
    for secret in (PASSWORD, TOKEN):
        assert places_of(secret, folder) == []
        assert [name for name, run in history.runs.items() if secret in run.stdout + run.stderr] == []


def test_harmful_texts_go_through_the_whole_pipeline_as_texts(history: History) -> None:
    with duckdb.connect(str(history.site.published), read_only=True) as connection:
        assert rows(connection, "SELECT key FROM rejected_messages ORDER BY kafka_offset") == [
            (key,) for key in HARMFUL_KEYS
        ]
        counts = rows(connection, "SELECT sensor, readings FROM sensors ORDER BY ALL")
        assert counts == [(sensor, 144) for sensor in ODD_SENSORS.values()]
        assert rows(connection, "SELECT region, sensors FROM regional_windows") == [(REGION, [*ODD_SENSORS.values()])]
        assert rows(connection, "SELECT region, status FROM slack_alerts") == [(REGION, "sent")]
    escaped = REGION.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"in {escaped}, 2022-07-18 12:00" in headlines(history.slack.payloads[-1])[0]


def test_only_the_published_copy_is_for_others_and_none_may_write_it(history: History) -> None:
    data = history.site.folder / "data"
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()} == {
        "private": 0o700,
        "aqi.duckdb": 0o444,
    }
    locks = [path for path in (data / "private").iterdir() if path.suffix == ".lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in locks} == {0o600}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason=lacking("a list of sockets, as Linux has it"))
def test_the_embedded_broker_listens_on_this_machine_only() -> None:
    before = listening(os.getpid())
    assert before <= {"127.0.0.1"}
    with EmbeddedBroker(), socket.create_server(("0.0.0.0", 0)):  # noqa: S104 (shows that the search would see it)
        assert listening(os.getpid()) == {"127.0.0.1", "0.0.0.0"}  # noqa: S104
    with EmbeddedBroker():
        assert listening(os.getpid()) == {"127.0.0.1"}
