"""The sign of life after each run that succeeded, to a real HTTP server."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from aqi_dagster.automation import heartbeat
from aqi_dagster.definitions import defs
from aqi_dagster.pipeline.alerts.heartbeat import beat
from aqi_dagster.pipeline.store.connections import Store
from tests.support.outbox import classify
from tests.support.ports import free_port
from tests.support.verdicts import SMOKE
from tests.support.waiting import LIMIT_SECONDS


class Service:
    """A server that counts calls, and answers each with ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.paths: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.paths.append(self.path)
                self.send_response(service.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the standard library's line per request off stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/very-secret"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> SensorExecutionData:
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=defs().get_repository_def()
    ) as context:
        return heartbeat.evaluate_tick(context)


def test_a_run_that_succeeded_is_a_sign_of_life(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQI_DATA_DIR", str(tmp_path / "data"))
    classify(Store(tmp_path / "data", LIMIT_SECONDS), ended=SMOKE)
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        cursor = tick(instance).cursor
        for url, calls in [("", 0), (service.url, 1)]:
            monkeypatch.setenv("AQI_HEARTBEAT_URL", url)
            assert defs().resolve_job_def("tell_slack").execute_in_process(instance=instance).success
            seen = tick(instance, cursor)
            cursor = seen.cursor
            assert len(service.paths) == calls
        assert len(service.paths) == 1
        tick(instance, cursor)
    assert service.paths == ["/ping/very-secret"]


def test_a_call_that_fails_says_why_without_the_address(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "urllib3"):
        assert beat(service.url) is None
        service.status = 404
        assert beat(service.url) == "HTTP 404"
        assert beat(f"http://127.0.0.1:{free_port()}/very-secret") == "no answer (ConnectionError)"
        assert beat("very-secret") == "no answer (MissingSchema)"
    assert "very-secret" not in caplog.text
