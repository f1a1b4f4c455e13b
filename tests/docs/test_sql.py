"""Every query of docs/sql.md on a published copy that a real run has left."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import duckdb
import pytest

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.summer import Summer
from aqi_dagster.feeds.producer import produce
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.pipeline.alerts.dispatch import dispatch
from aqi_dagster.pipeline.alerts.webhook import Webhook
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import window_key
from tests.support.messages import message
from tests.support.micro_batch import run
from tests.support.places import TOP
from tests.support.slack_server import slack_server
from tests.support.tables import rows
from tests.support.topics import Topic

DOCS = TOP / "docs"


def queries(page: str) -> list[str]:
    """The blocks of SQL on a page of the documentation."""
    return re.findall(r"```sql\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


QUERIES = queries("sql.md")

END = FIRST_WINDOW + timedelta(days=15)
"""After two spells of smoke, the second over two windows."""

LAST_DAY = END - timedelta(days=1)

SILENT = Summer(FIRST_WINDOW).sensors[3]
"""A sensor that sends nothing on the last day."""


@pytest.fixture(scope="module")
def published(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy with smoke, malfunctions, a silent sensor, rejected messages, late readings and alerts."""
    folder = tmp_path_factory.mktemp("published")
    topic = Topic("sql_docs", broker.bootstrap_servers)
    topic.create()
    summer = Summer(FIRST_WINDOW)
    of_the_silent = json.dumps(SILENT).encode()
    last_day = [reading for reading in summer.messages(LAST_DAY, END) if reading.key != of_the_silent]
    produce({"bootstrap.servers": topic.servers}, topic.name, [*summer.messages(FIRST_WINDOW, LAST_DAY), *last_day])
    last = window_key(END - timedelta(hours=12))
    store = Store(folder)
    with dg.DagsterInstance.ephemeral() as instance, slack_server() as slack:
        run(topic, folder, window_key(FIRST_WINDOW), last, instance)
        topic.send([(b"no key", b"{}"), (b'"45, -122"', b"\xff"), message(SILENT, LAST_DAY, 5.0)])
        run(topic, folder, last, last, instance)
        dispatch(store, Webhook(slack.url, attempts=1).post, timedelta(hours=48))
    store.publish()
    with store.reader() as connection:
        yield connection


def test_there_are_at_least_ten_queries() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:50])
def test_a_documented_query_finds_rows(published: duckdb.DuckDBPyConnection, query: str) -> None:
    assert rows(published, query)


def test_a_trial_with_the_same_settings_differs_in_nothing(published: duckdb.DuckDBPyConnection) -> None:
    ((copy,),) = rows(published, "SELECT path FROM duckdb_databases() WHERE path LIKE '%aqi.duckdb'")
    (script,) = queries("tuning.md")
    script = script.replace(".data/aqi.duckdb", copy).replace("trial/aqi.duckdb", copy)
    with duckdb.connect() as connection:
        *attached, windows, thresholds = connection.extract_statements(script)
        for statement in attached:
            connection.execute(statement)
        assert connection.execute(windows).fetchall() == []
        counts = connection.execute(thresholds).fetchall()
    assert all(live == trial for _, live, trial in counts)
    assert rows(published, "SELECT count(*) FROM anomalies") == [(live,) for at, live, _ in counts if float(at) == 0.7]


def test_a_spell_of_smoke_may_last_several_windows(published: duckdb.DuckDBPyConnection) -> None:
    spells = rows(published, "SELECT windows, most_sensors FROM smoke_spells ORDER BY first_event")
    assert spells == [(1, 25), (2, 12)]  # The silent sensor missed the second.
    (total,) = rows(published, "SELECT sum(anomalies) FROM smoke_spells")
    assert [total] == rows(published, "SELECT sum(count_anomalies) FROM regional_windows WHERE verdict = 'smoke'")


def test_sensor_windows_hold_every_anomaly_once(published: duckdb.DuckDBPyConnection) -> None:
    assert rows(published, "SELECT sum(anomalies) FROM sensor_windows") == rows(
        published, "SELECT count(*) FROM anomalies"
    )


def test_hours_hold_every_reading_but_repeated_ones(published: duckdb.DuckDBPyConnection) -> None:
    assert rows(published, "SELECT sum(readings) FROM hourly_pm25") == rows(
        published, "SELECT sum(readings) FROM sensors"
    )
    unlike = (
        "SELECT hour FROM hourly_pm25 WHERE hour <> time_bucket(INTERVAL 1 HOUR, hour) OR mean_pm25 > max_pm25 "
        "OR mean_pm25_corrected IS NULL"
    )
    assert rows(published, f"{unlike} AND sensor <> '{SILENT}'") == []


def test_every_column_of_the_views_for_people_that_is_new_has_a_comment(published: duckdb.DuckDBPyConnection) -> None:
    inherited = {"sensor", "region", "window_start"}
    uncommented = rows(
        published,
        "SELECT table_name, column_name FROM duckdb_columns() WHERE comment IS NULL "
        "AND table_name IN ('sensor_windows', 'smoke_spells', 'hourly_pm25')",
    )
    assert {column for _, column in uncommented} <= inherited
