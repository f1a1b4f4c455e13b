"""The whole way by the command line on Apache Kafka: produce, materialize, status, and two runs at once."""

import subprocess
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import duckdb

from aqi_dagster.feeds.producer import produce
from tests.support.command_line import COMMAND, Site
from tests.support.kafka_cluster import ApacheKafka
from tests.support.kafka_topics import kept
from tests.support.messages import FIRST_WINDOW
from tests.support.summer_file import SUMMER, lags, ndjson
from tests.support.tables import rows
from tests.support.waiting import LIMIT_SECONDS

DAYS = 6
END = FIRST_WINDOW + timedelta(days=DAYS)
MOST = END - timedelta(days=1)

RANGE = ("--from", "2022-07-18T00:00", "--to", "2022-07-23T12:00")


def test_a_summer_goes_from_file_to_verdicts_whoever_runs_meanwhile(kafka: ApacheKafka, tmp_path: Path) -> None:
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka.servers, "KAFKA_TOPIC": f"summer-{uuid4()}"}
    site = Site(tmp_path, settings | {"KAFKA_CHUNK_MESSAGES": "2000"})
    most = tmp_path / "most.ndjson.gz"
    first = ndjson(most, SUMMER.messages(FIRST_WINDOW, MOST))
    assert "Created topic" in site.run("produce", str(most)).stdout
    site.run("materialize", *RANGE)
    last = produce({"bootstrap.servers": kafka.servers}, settings["KAFKA_TOPIC"], SUMMER.messages(MOST, END))
    status = site.run("status").stdout
    assert f"{first:,} of 25 sensors" in status
    behind = lags(status)
    assert len(behind) == 4
    assert sum(behind) == last
    runs = [
        subprocess.Popen(
            [COMMAND, "materialize", *RANGE], cwd=site.folder, env=site.environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for run in runs:
        told = run.communicate(timeout=LIMIT_SECONDS)[1]
        assert run.returncode == 0, told
    with duckdb.connect(str(site.published), read_only=True) as connection:
        assert len(kept(connection)) == first + last
        assert rows(connection, "SELECT count(*) FROM readings WHERE repeated") == [(0,)]
        verdicts = dict(rows(connection, "SELECT window_start, verdict FROM regional_windows"))
    assert verdicts == SUMMER.expected_verdicts(END)
    assert set(verdicts.values()) == {"smoke", "malfunction"}
