"""A real Apache Kafka for the tests: one node, broker and controller in one Java process, on 127.0.0.1 only."""

import atexit
import base64
import signal
import socket
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka_jars import kafka_jars, program
from tests.support.waiting import LIMIT_SECONDS

HOST = "127.0.0.1"

STOP_TIMEOUT_SECONDS = 60.0
"""After it a node that was asked to stop is killed: mostly it needs a second, on a busy machine more than twenty."""

LOG_TAIL_CHARACTERS = 3000

# Small and quick to start rather than fast for hours.
JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


@dataclass(frozen=True)
class Login:
    """A user of the SASL_SSL listener."""

    username: str
    password: str


class KafkaFailedError(Exception):
    """Apache Kafka ended or did not answer; the text holds the end of its log."""


class ApacheKafka:
    """One node that keeps its data in ``folder``, so that it can be stopped, killed and started again with its topics.

    It listens without any security at ``servers``; with a ``login`` also at ``secured_servers``, by SASL/PLAIN over TLS
    with a certificate of its own making, ``certificate``.
    """

    def __init__(self, folder: Path, login: Login | None = None) -> None:
        self._folder = folder
        self._login = login
        self._log = folder / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None
        plain, secured, self._controller = _free_ports(3)
        self.servers = f"{HOST}:{plain}"
        self.secured_servers = f"{HOST}:{secured}"
        self.certificate = folder / "certificate.pem"
        self.data = folder / "data"

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the node, on first use with an empty log, and return once it answers.

        Raises :class:`KafkaMissingError` or :class:`KafkaFailedError`; no process is left behind then.
        """
        assert not self.running
        settings = self._folder / "server.properties"
        if not settings.exists():
            settings.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
            cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
            storage_tool = ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", cluster]
            self._finish([*self._java(), *storage_tool, "--config", str(settings)])
        atexit.register(self.kill)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C reaches pytest first, which then stops it
            )
        try:
            self._await_answer(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an operator would: it leaves its log in order. One that takes long is killed, with a warning."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)  # has Java write to the log where each of its threads is
                warnings.warn(
                    f"Kafka did not stop within {STOP_TIMEOUT_SECONDS:g} s: killed. {self._log} says where it was",
                    stacklevel=2,
                )
                time.sleep(1)
                self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        atexit.unregister(self.kill)
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop it and start it again on the same ports and data."""
        self.stop()
        self.start()

    def _settings(self) -> dict[str, str | int]:
        controller = f"{HOST}:{self._controller}"
        listeners = {"PLAINTEXT": self.servers} | ({"SASL_SSL": self.secured_servers} if self._login else {})
        advertised = ",".join(f"{name}://{address}" for name, address in listeners.items())
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "log.dirs": str(self.data),
            "listeners": f"{advertised},CONTROLLER://{controller}",
            "advertised.listeners": advertised,
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": controller,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            # After a kill the controller takes the node back only when its session has run out.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            **(self._secure(self._login) if self._login else {}),
        }

    def _secure(self, login: Login) -> dict[str, str]:
        store, password = self._folder / "keystore.p12", uuid4().hex
        keystore = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", password, "-alias", "kafka"]
        identity = ["-dname", f"CN={HOST}", "-ext", f"SAN=IP:{HOST}", "-validity", "2"]
        key = ["-keyalg", "EC", "-groupname", "secp256r1"]
        self._finish([program("keytool"), "-genkeypair", *key, *identity, *keystore])
        self._finish([program("keytool"), "-exportcert", "-rfc", "-file", str(self.certificate), *keystore])
        return {
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'user_{login.username}="{login.password}";'
            ),
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(store),
            "ssl.keystore.password": password,
        }

    def _java(self) -> list[str]:
        return [program("java"), *JVM, "-cp", f"{kafka_jars()}/*"]

    def _finish(self, command: list[str]) -> None:
        """Run a tool to its end; what it says goes to the log."""
        with self._log.open("ab") as log:
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS
            ).returncode
        if status != 0:
            raise KafkaFailedError(f"{Path(command[0]).name} ended with status {status}.{self._tail()}")

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        # log_level 0: refused connections are expected before it listens.
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0, "reconnect.backoff.max.ms": 100})
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise KafkaFailedError(f"Kafka ended with status {process.returncode} at its start.{self._tail()}")
            try:
                if admin.list_topics(timeout=5).brokers:
                    return
            except KafkaException:
                continue
        raise KafkaFailedError(f"Kafka did not answer at {self.servers} in {LIMIT_SECONDS:g} s.{self._tail()}")

    def _tail(self) -> str:
        return f" The end of {self._log}:\n{self._log.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}"


def _free_ports(count: int) -> list[int]:
    """Different TCP ports on 127.0.0.1 that nobody listens on."""
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
