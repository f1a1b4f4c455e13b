"""What compose.yaml asks of Docker in each profile, as ``docker-compose config`` reads it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.support.lacking import lacking
from tests.support.places import TOP
from tests.support.postgres_server import postgres_server

COMPOSE = Path(sys.executable).with_name("docker-compose")

DEPLOY = TOP / "deploy"

SECRETS = {"POSTGRES_PASSWORD": "word-of-postgres", "SLACK_WEBHOOK_URL": "https://slack.example/secret"}

OURS = {"code-server", "webserver", "daemon"}

RECORDS = {"DAGSTER_HOME", "DAGSTER_POSTGRES_HOST", "DAGSTER_POSTGRES_PORT", "DAGSTER_POSTGRES_PASSWORD"}


def config(folder: Path, profile: str, env: dict[str, str]) -> dict[str, Any]:
    """The services and volumes of a profile, in a folder with compose.yaml and a .env of ``env``."""
    if not COMPOSE.exists():
        pytest.skip(lacking("docker-compose"))
    shutil.copy(TOP / "compose.yaml", folder)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
    done = subprocess.run(
        [COMPOSE, "--profile", profile, "config", "--format", "json"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    read = json.loads(done.stdout)
    assert isinstance(read, dict)
    return read


@pytest.fixture
def stack(tmp_path: Path) -> dict[str, Any]:
    """The profile ``stack`` with a .env that has secrets, and addresses as processes outside of containers use them."""
    outside = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
        "AQI_DATA_DIR": ".data",
        "AQI_FIRST_WINDOW": "2026-01-01T00:00",
    }
    return config(tmp_path, "stack", SECRETS | outside)


def ports(service: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(port["host_ip"], port["published"], port["target"]) for port in service.get("ports", [])]


def test_the_profile_kafka_is_kafka_alone_and_needs_no_settings(tmp_path: Path) -> None:
    read = config(tmp_path, "kafka", {})
    assert set(read["services"]) == set(read["volumes"]) == {"kafka"}
    assert ports(read["services"]["kafka"]) == [("127.0.0.1", "9092", 9092)]


def test_the_stack_is_published_on_this_machine_alone(stack: dict[str, Any]) -> None:
    services = stack["services"]
    assert {name: found for name in services if (found := ports(services[name]))} == {
        "kafka": [("127.0.0.1", "9092", 9092)],
        "webserver": [("127.0.0.1", "3000", 3000)],
    }
    assert set(services) == OURS | {"kafka", "postgres"}
    assert set(stack["volumes"]) == {"kafka", "postgres", "dagster", "aqi"}
    assert all(service["healthcheck"]["test"] for service in services.values())


def test_only_the_code_server_has_the_settings_and_their_secrets(stack: dict[str, Any]) -> None:
    of = {name: service["environment"] for name, service in stack["services"].items()}
    assert [name for name in of if SECRETS["SLACK_WEBHOOK_URL"] in json.dumps(of[name])] == ["code-server"]
    assert set(of["webserver"]) == RECORDS
    assert set(of["daemon"]) == RECORDS | {"DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR"}
    assert {of[name]["DAGSTER_POSTGRES_PASSWORD"] for name in OURS} == {SECRETS["POSTGRES_PASSWORD"]}
    assert of["postgres"]["POSTGRES_PASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
    code = of["code-server"]
    assert (code["KAFKA_BOOTSTRAP_SERVERS"], code["AQI_DATA_DIR"]) == ("kafka:19092", "/var/lib/aqi")
    assert code["AQI_FIRST_WINDOW"] == "2026-01-01T00:00"


def test_dagsters_processes_write_to_volumes_alone(stack: dict[str, Any]) -> None:
    written = {}
    for name in OURS:
        service = stack["services"][name]
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])  # noqa: S108
        mounts = service["volumes"]
        written[name] = {mount["target"] for mount in mounts if not mount.get("read_only")}
        assert {mount["type"] for mount in mounts if mount["target"] in written[name]} == {"volume"}
    only_records = {"/var/lib/dagster"}
    assert written == {
        "code-server": only_records | {"/var/lib/aqi"},
        "webserver": only_records,
        "daemon": only_records,
    }


def test_the_code_server_is_where_the_others_look_for_it(stack: dict[str, Any]) -> None:
    services = stack["services"]
    (found,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    server = found["grpc_server"]
    assert server["host"] == "code-server"
    command = services["code-server"]["command"]
    assert command[:3] == ["dagster", "code-server", "start"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--module-name") + 1] == server["location_name"]
    for name in ("webserver", "daemon"):
        mounts = {Path(mount["source"]).name: mount["target"] for mount in services[name]["volumes"]}
        assert services[name]["command"][-2:] == ["--workspace", mounts["workspace.yaml"]]
        assert mounts["dagster.yaml"] == f"{services[name]['environment']['DAGSTER_HOME']}/dagster.yaml"


def test_images_are_those_of_the_dockerfile_and_only_one_has_this_package(stack: dict[str, Any]) -> None:
    stages = re.split(r"(?m)^FROM .* AS (\w+)\n", (DEPLOY / "Dockerfile").read_text())[1:]
    lines = dict(zip(stages[::2], stages[1::2], strict=True))
    built = {name: stack["services"][name]["build"] for name in OURS}
    assert {name: build["target"] for name, build in built.items()} == {
        "code-server": "code",
        "webserver": "dagster",
        "daemon": "dagster",
    }
    assert {build["dockerfile"] for build in built.values()} == {"deploy/Dockerfile"}
    assert "aqi_dagster" in lines["code"]
    assert "aqi_dagster" not in lines["base"] + lines["dagster"]
    for stage in ("code", "dagster"):
        assert lines[stage].rstrip().splitlines()[-1] == "USER aqi"
        assert lines[stage].count("pip install --constraint constraints.txt") == 1


def test_the_settings_of_the_stack_are_the_shipped_ones_but_for_the_storage() -> None:
    shipped = yaml.safe_load((TOP / "dagster.yaml").read_text())
    stacked = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert list(stacked.pop("storage")) == ["postgres"]
    del shipped["event_log_storage"]
    assert stacked == shipped


INSTANCE_WITHOUT_THIS_PACKAGE = """
import sys

sys.modules["aqi_dagster"] = None
from dagster import DagsterInstance

with DagsterInstance.get() as instance:
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        print(type(storage).__module__.partition(".")[0], instance.get_runs_count())
"""


def test_dagsters_records_are_in_postgres_without_this_package(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    with postgres_server() as address:
        engine = create_engine(address, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE ROLE dagster LOGIN"))
            connection.execute(text("CREATE DATABASE dagster OWNER dagster"))
        engine.dispose()
        place = make_url(address)
        named = {"DAGSTER_HOME": tmp_path, "DAGSTER_POSTGRES_HOST": place.host, "DAGSTER_POSTGRES_PORT": place.port}
        environment = os.environ | {name: str(value) for name, value in named.items()}
        done = subprocess.run(
            [sys.executable, "-c", INSTANCE_WITHOUT_THIS_PACKAGE],
            env=environment | {"DAGSTER_POSTGRES_PASSWORD": "a word: with / and @"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["dagster_postgres 0"] * 3
