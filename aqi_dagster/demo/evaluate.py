"""Both rule sets on readings of which the truth is known: how much of it each finds, and what it says too much.

The whole pipeline runs, from a topic to regional windows, in a folder that is gone afterwards, with the default
detector and thresholds. All sensors of a set are taken as one region.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.demo.summer import DAYS, Summer
from aqi_dagster.demo.truth import Agreement, SensorWindow, Truth, by_sensor
from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds.feed import opened_feed
from aqi_dagster.feeds.finding import LINES, TABLE, ending, find_files
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.producer import create_topic, produce
from aqi_dagster.feeds.sources import Report
from aqi_dagster.message_fields import OWN_NAMES, FieldNames
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.health_table import SensorHealth, health_by_window
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.label_files import read_label_file
from aqi_dagster.pipeline.verdicts.regional_window import RegionalWindow, Rules
from aqi_dagster.pipeline.verdicts.rule_changes import NETWORK
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.progress import Progress, unwatched, watched
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WindowRange, utc_now, window_key, window_start

TOPIC = "evaluation"

_REGION = OneRegion("evaluation")

_HEADERS = [
    "readings",
    "rules",
    "smoke windows found",
    "smoke verdicts right",
    "broken (sensor, window) found",
    "named ones right",
    "broken sensors found",
    "named sensors right",
]


@dataclass(frozen=True)
class Result:
    """What ``rules`` found in the readings of that ``name`` beside the truth."""

    name: str
    rules: str
    smoke: Agreement[str]
    pairs: Agreement[SensorWindow]

    @property
    def sensors(self) -> Agreement[str]:
        """The broken sensors, in whatever windows."""
        return Agreement({sensor for sensor, _ in self.pairs.found}, {sensor for sensor, _ in self.pairs.true})

    @property
    def row(self) -> list[str]:
        """Its row of the table."""
        shares = [
            *(self.smoke.recall, self.smoke.precision),
            *(self.pairs.recall, self.pairs.precision),
            *(self.sensors.recall, self.sensors.precision),
        ]
        return [self.name, self.rules, *shares]

    def details(self) -> Iterator[str]:
        """What was missed and what was false, by name."""
        things = {
            "smoke windows missed": sorted(self.smoke.missed),
            "smoke verdicts false": sorted(self.smoke.false),
            "broken sensors missed, in windows": by_sensor(self.pairs.missed),
            "sensors named that are not known to be broken, in windows": by_sensor(self.pairs.false),
        }
        for title, names in things.items():
            if names:
                yield f"{self.name}, {self.rules} rules, {title}: {'; '.join(names)}"


def evaluate_folder(folder: Path, progress: Progress = unwatched) -> str:
    """The table and the details of all readings in ``folder`` of which there is a truth.

    The truth of ``NAME.ndjson.gz`` is ``NAME.json``, or a file whose name is the beginning of that name up to a ``_``:
    in the same folder, or in one named ``truth`` in it or beside it. Exported labels, ``NAME.labels.json``, correct it,
    or stand in its place: then only what is labelled counts. Raises ``InputFileError`` if no file has one.
    """
    results, without = [], []
    names = load_settings().field_names
    for file in find_files([folder], Report()):
        if ending(file) not in (*LINES, *TABLE):
            continue
        name = file.name.partition(".")[0]
        if (truth := _truth_of(name, folder)) is None:
            without.append(file.name)
        else:
            with opened_feed([file], utc_now(), names=names, progress=_of_set(name, progress)) as feed:
                results += _evaluate(name, feed.messages(), truth, names, progress)
    if not results:
        raise InputFileError(f"{folder}: no file of truth beside {', '.join(without)}; docs/verdicts.md has the form.")
    passed_over = [f"Passed over, as there is no truth of them: {', '.join(without)}"] if without else []
    return "\n".join([text_of(results), *passed_over])


def evaluate_summer(progress: Progress = unwatched) -> str:
    """The table and the details of the demo's summer."""
    end = window_start(utc_now())
    begin = end - timedelta(days=DAYS)
    summer = Summer(begin)
    truth = Truth.of_summer(summer, end)
    return text_of(_evaluate("summer", summer.messages(begin, end), truth, OWN_NAMES, progress))


def _of_set(name: str, progress: Progress) -> Progress:
    """``progress`` whose stages are named with the set of readings."""
    return lambda stage, done, total=None, /: progress(f"{name}, {stage}", done, total)


def _evaluate(
    name: str, messages: Iterable[Message], truth: Truth, names: FieldNames, progress: Progress
) -> list[Result]:
    """What each rule set finds in ``messages``, whose fields have these ``names``."""
    progress = _of_set(name, progress)
    with TemporaryDirectory() as folder, EmbeddedBroker() as broker, Store(Path(folder)).exclusive() as writer:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        create_topic(config, TOPIC, 1)
        produce(config, TOPIC, messages, progress)
        pull(writer, TopicReader(config, TOPIC), PullPolicy(field_names=names), progress)
        ((first, last),) = writer.execute("SELECT min(window_start), max(window_start) FROM windows").fetchall()
        if first is None:
            raise InputFileError(f"{name}: no line is a reading")
        windows = WindowRange(first, last)
        judge_windows(writer, windows, first, sensors_to_judge(writer, _REGION), regions_hash(_REGION), progress)
        scored = score_windows(writer, windows, first, DetectorParameters())
        list(watched(scored, "windows scored", len(windows), progress))
        select_anomalies(writer, windows, Thresholds())
        return [_result(writer, name, rules, windows, truth) for rules in RULE_SETS]


def _result(writer: Writer, name: str, rules: str, windows: WindowRange, truth: Truth) -> Result:
    classified = classify_windows(writer, windows, _REGION, rules=RULE_SETS[rules])
    smoke = {start for start, judged in classified.items() if any(row.verdict == "smoke" for row in judged)}
    health = health_by_window(writer, windows)
    named = {
        (sensor, start)
        for start, judged in classified.items()
        for sensor in named_sensors(judged, health[start], RULE_SETS[rules])
    }
    windows_known = None if truth.windows is None else set(map(window_key, truth.windows))
    found, true = set(map(window_key, smoke)), set(map(window_key, truth.smoke_windows))
    return Result(
        name,
        rules,
        Agreement.among(windows_known, found, true),
        Agreement.among(truth.pairs, named, truth.broken),
    )


def _truth_of(name: str, folder: Path) -> Truth | None:
    """What the file of truth says whose name fits best, corrected by what the file of labels says."""
    truth, labels = _file_of(name, folder, ".json"), _file_of(name, folder, ".labels.json")
    if truth is None:
        return None if labels is None else Truth.read(labels)
    return Truth.read(truth) if labels is None else Truth.read(truth).corrected_by(read_label_file(labels))


def _file_of(name: str, folder: Path, suffix: str) -> Path | None:
    """The file of that ``suffix`` with the longest name that fits."""
    places = [folder, folder / "truth", folder.resolve().parent / "truth"]
    parts = name.split("_")
    names = ["_".join(parts[:count]) for count in range(len(parts), 0, -1)]
    paths = (place / f"{begin}{suffix}" for begin in names for place in places)
    return next((path for path in paths if path.is_file()), None)


def named_sensors(judged: Iterable[RegionalWindow], health: Iterable[SensorHealth], rules: Rules) -> set[str]:
    """The sensors of one window that ``rules`` call broken; those unlike their neighbours count, too."""
    if rules.name == NETWORK:
        return {row.sensor for row in health if row.fault is not None or row.unlike_neighbours}
    return {sensor for row in judged if row.verdict == "malfunction" for sensor in row.sensors}


def text_of(results: list[Result]) -> str:
    """The table of ``results``, and their details."""
    table = tabulate([result.row for result in results], _HEADERS)
    return "\n".join([table, "", *(line for result in results for line in result.details())])
