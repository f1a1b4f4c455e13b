"""What a run of the real job puts on the pages of its windows, and in its log."""

import json
import logging
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import pytest
from PIL import Image

from aqi_dagster.assets.pages import NEWEST_SHOWN
from aqi_dagster.definitions import defs
from aqi_dagster.demo import summer as synthetic
from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.feeds.producer import produce
from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.jobs import MicroBatch
from tests.support.messages import message
from tests.support.tables import rows
from tests.support.topics import Topic

ASSETS = ["readings", "scored_readings", "anomalies", "regional_windows"]

DAYS = 6
KEYS = [window_key(FIRST_WINDOW + number * WINDOW_LENGTH) for number in range(2 * DAYS)]


@dataclass(frozen=True)
class Summer:
    """The job on a topic with the first days of a summer and some messages that are no readings, and its first run."""

    job: MicroBatch
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def summer(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Summer]:
    """All windows in one run."""
    topic = Topic(f"pages-{uuid4()}", broker.bootstrap_servers)
    topic.create()
    messages = synthetic.Summer(FIRST_WINDOW).messages(FIRST_WINDOW, FIRST_WINDOW + timedelta(days=DAYS))
    produce({"bootstrap.servers": topic.servers}, topic.name, messages)
    topic.send([(b'"38.9, -120.1"', b"{"), (None, b"{}"), (None, b"{}")])
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        job = MicroBatch(topic, tmp_path_factory.mktemp("pages"), patch, instance)
        yield Summer(job, job.run(KEYS[0], KEYS[-1]))


def by_window(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Mapping[str, Any]]:
    return {
        str(event.partition): {name: value.value for name, value in event.metadata.items()}
        for event in result.asset_materializations_for_node(asset)
    }


def test_each_window_carries_its_numbers_and_the_newest_those_of_the_run(summer: Summer) -> None:
    result = summer.result
    with duckdb.connect(str(summer.job.published), read_only=True) as connection:
        counts = {
            table: dict(rows(connection, f"SELECT window_start, count(*) FROM {table} GROUP BY ALL"))
            for table in ASSETS
        }
        anomalies = dict(rows(connection, "SELECT window_start, count_anomalies FROM regional_windows"))
        verdicts = dict(rows(connection, "SELECT verdict, count(*) FROM regional_windows GROUP BY ALL"))
        indices = rows(connection, "SELECT window_start, aqi_of_max FROM regional_windows WHERE verdict = 'smoke'")
        ((worst,),) = rows(connection, "SELECT max(max_pm25) FROM regional_windows")
        most = dict(rows(connection, "SELECT window_start, max(pm25_cf1) FROM scored_readings GROUP BY ALL"))
    metadata = {table: by_window(result, table) for table in ASSETS}
    for table in ASSETS:
        assert list(metadata[table]) == KEYS
        for number, key in enumerate(KEYS):
            start = FIRST_WINDOW + number * WINDOW_LENGTH
            assert metadata[table][key]["dagster/partition_row_count"] == counts[table].get(start, 0)
            assert metadata["regional_windows"][key]["anomalies"] == anomalies.get(start, 0)
            assert metadata["scored_readings"][key]["max_pm25"] == most[start]
    newest = metadata["readings"][KEYS[-1]]
    assert newest["sensors"] == 25
    assert newest["new_readings"] == newest["dagster/partition_row_count"]
    assert newest["pulled_messages"] == DAYS * 144 * 25 + 3
    assert newest["rejected_messages"] == 3
    assert newest["rejected: key is missing"] == 2
    assert newest["rejected: value is not JSON"] == 1
    assert "pulled_messages" not in metadata["readings"][KEYS[0]]
    for table, stages in {"readings": ["pull", "check"], "scored_readings": ["score", "check", "plot"]}.items():
        assert all(metadata[table][KEYS[-1]][f"{stage}_ms"] >= 0 for stage in stages)
    windows = metadata["regional_windows"].values()
    for name, count in (*verdicts.items(), ("alerts_to_send", len(anomalies))):
        assert sum(window[name] for window in windows) == count
    assert max(window.get("max_pm25", 0) for window in windows) == worst
    assert indices
    shown = [window["aqi_of_smoke"] for window in windows if "aqi_of_smoke" in window]
    assert shown == [index for _, index in sorted(indices)]
    assert all(window["aqi_category"] == "Hazardous" for window in windows if window.get("aqi_of_smoke", 0) > 500)


def test_the_page_of_a_window_begins_with_its_verdict_and_why(summer: Summer) -> None:
    """Whoever follows an alert's link reads this first."""
    told = {}
    for key, metadata in by_window(summer.result, "regional_windows").items():
        names = list(metadata)
        if metadata["anomalies"]:
            assert names[0] == "verdict: Lake Tahoe"
            told[key] = metadata[names[0]]
        else:
            assert names[0] == "dagster/partition_row_count"
    newest = list(told)[-NEWEST_SHOWN:]
    assert all(("meanwhile" in text) == (key in newest) for key, text in told.items())
    malfunction, smoke = told.values()
    assert malfunction.startswith("Malfunctioning Sensor: 1 sensor, ")
    assert malfunction.count("; and ") == 0
    assert ". Sensors: 39.0679, -120.1286. The region's 24 other sensors read " in malfunction
    assert smoke.startswith("Suspected Smoke Event: 25 sensors, ")
    assert "; and 22 more. No other sensor" in smoke
    log = [entry.user_message for entry in summer.job.instance.all_logs(summer.result.run_id)]
    assert [entry for entry in log if entry.endswith(smoke)] == [f"Lake Tahoe, window {list(told)[-1]}: {smoke}"]


def test_only_the_newest_windows_with_something_to_see_have_pictures(summer: Summer) -> None:
    result = summer.result
    for asset, key in (("regional_windows", "plot: Lake Tahoe"), ("scored_readings", "plot")):
        metadata = by_window(result, asset)
        pictures = {window: found[key] for window, found in metadata.items() if key in found}
        interesting = [
            window for window, found in metadata.items() if found.get("anomalies") or found.get("above_thresholds")
        ]
        assert interesting
        assert list(pictures) == interesting[-NEWEST_SHOWN:]
        for markdown in pictures.values():
            assert Image.open(BytesIO(png(markdown))).format == "PNG"
            assert len(png(markdown)) < 60_000


def png(markdown: str) -> bytes:
    """The picture that ``markdown`` holds."""
    return b64decode(markdown.partition("base64,")[2].removesuffix(")"))


@pytest.mark.parametrize(
    "broken", ["matplotlib.backends.backend_agg.FigureCanvasAgg.draw", "duckdb.DuckDBPyRelation.fetchnumpy"]
)
def test_a_plot_that_cannot_be_drawn_is_missed_and_nothing_else(
    summer: Summer, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no font fits")

    with monkeypatch.context() as patch:
        patch.setattr(broken, fail)
        result = summer.job.run(KEYS[0], KEYS[-1])
    assert all(check.passed for check in result.get_asset_check_evaluations())
    before, after = (by_window(run, "regional_windows") for run in (summer.result, result))
    for window, numbers in after.items():
        assert numbers["anomalies"] == before[window]["anomalies"]
        assert set(before[window]) - set(numbers) <= {"plot: Lake Tahoe"}
    told = [
        entry.user_message
        for entry in summer.job.instance.all_logs(result.run_id)
        if entry.dagster_event is None and entry.level == logging.WARNING
    ]
    shown = [window for window, numbers in before.items() if "plot: Lake Tahoe" in numbers]
    assert shown
    for window in shown:
        assert sum(text.startswith(f"The plot of Lake Tahoe, window {window} is missing") for text in told) == 1
    assert all("RuntimeError: no font fits" in text and "Materialize the window again" in text for text in told)
    of_health = [text for text in told if text.startswith("The plot of the health of sensors is missing")]
    assert len(of_health) == ("draw" in broken)
    assert len(told) == 2 * len(shown) + len(of_health)
    assert "plot: Lake Tahoe" in by_window(summer.job.run(shown[-1], shown[-1]), "regional_windows")[shown[-1]]


def test_the_runs_log_tells_its_story(summer: Summer) -> None:
    result = summer.result
    log = [entry.user_message for entry in summer.job.instance.all_logs(result.run_id) if entry.dagster_event is None]
    told = "\n".join(log)
    for part in (
        f"Pulled {DAYS * 144 * 25 + 3} messages: {DAYS * 144 * 25} readings (0 of them repeated) and 3 rejected",
        f"Scored {DAYS * 144 * 25} readings of {2 * DAYS} windows",
        "anomalies in",
        f"Classified {2 * DAYS} windows:",
    ):
        assert part in told
    assert len(log) < 40


def test_events_stay_small(summer: Summer) -> None:
    """The columns and their lineage belong to the definition: on every event they would fill the database."""
    result = summer.result
    for asset in ASSETS:
        for window, metadata in by_window(result, asset).items():
            plain = {name: value for name, value in metadata.items() if not name.startswith("plot")}
            assert len(json.dumps(plain, default=str)) < 1000, (asset, window)


def test_late_and_repeated_readings_are_counted_by_window(summer: Summer) -> None:
    job = summer.job
    late = message("45.1, -122", FIRST_WINDOW + timedelta(minutes=3), 12.0)
    job.topic.send([late, late])
    numbers = by_window(job.run(KEYS[-2], KEYS[-1]), "readings")
    assert numbers[KEYS[-1]]["pulled_readings"] == 2
    assert numbers[KEYS[-1]]["pulled_repeated_readings"] == 1
    assert numbers[KEYS[-1]]["new_readings"] == 0
    again = by_window(job.run(KEYS[0], KEYS[0]), "readings")[KEYS[0]]
    assert (again["late_readings"], again["repeated_readings"], again["sensors"]) == (1, 1, 26)
    job.topic.send([message("45.10, -122.0", FIRST_WINDOW + timedelta(minutes=4), 12.0)])
    assert by_window(job.run(KEYS[0], KEYS[0]), "readings")[KEYS[0]]["sensors"] == 26, "one more text, no more sensors"
    assert by_window(job.run(KEYS[0], KEYS[0]), "readings")[KEYS[0]]["late_readings"] == 0


def test_the_outbox_tells_what_a_run_sent_and_what_waits(summer: Summer) -> None:
    job = defs().resolve_job_def("tell_slack")
    for not_sent, log in [(2, "Alerts: 2 not sent, as no webhook is configured"), (0, "Alerts: none was pending")]:
        result = job.execute_in_process(instance=summer.job.instance)
        (event,) = result.asset_materializations_for_node("slack_alerts")
        metadata = {name: value.value for name, value in event.metadata.items()}
        assert (metadata["sent"], metadata["digested"], metadata["not_sent"]) == (0, 0, not_sent)
        assert (metadata["dagster/row_count"], metadata["still_pending"], metadata["recorded_as_not_sent"]) == (2, 0, 2)
        told = [entry.user_message for entry in summer.job.instance.all_logs(result.run_id)]
        assert log in told
