"""The pipeline's steps on one connection, without Kafka and Dagster, and the ranges that it names run until none is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from aqi_dagster.errors import DetectorStateError, RangeRequiredError
from aqi_dagster.pipeline.decoding.decode import decode
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detector_states import StoredState
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.detection.state_pickles import load_state
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.known_trouble import Record, record_trouble
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.insert import ingest
from aqi_dagster.pipeline.regions.choice import RegionChoice
from aqi_dagster.pipeline.reporting.status import Choices, StoreStatus, store_status
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.sql import Writer, run_script
from aqi_dagster.pipeline.topic.batches import MESSAGES_SCHEMA
from aqi_dagster.pipeline.verdicts.classify_windows import NOTEBOOK_RULES, classify_windows
from aqi_dagster.windows import WindowRange
from tests.support.messages import ALLOWANCE, FIRST_WINDOW, NOW, RawMessage
from tests.support.tables import rows

REGION = RegionChoice("name", "Lake Tahoe", None, "", "", "Elsewhere")

CHOICES = Choices(FIRST_WINDOW, DetectorParameters(window_size=6), Thresholds(score=0.5), REGION, NOTEBOOK_RULES)
"""Settings by which few readings make anomalies."""

STEPS = ("judge", "score", "select", "classify")

WINDOWS = """
SELECT * EXCLUDE (revision, selected, classified, health_revision, classified_health)
FROM windows
ORDER BY window_start
"""


@dataclass
class Pipeline:
    """A store and the settings that its results are to be made by."""

    connection: Writer
    choices: Choices = CHOICES
    _next_offsets: Counter[int] = field(default_factory=Counter)

    def change(self, **settings: Any) -> None:
        """Take other settings from here on."""
        self.choices = replace(self.choices, **settings)

    def pull(self, messages: Sequence[RawMessage], partitions: Sequence[int] | None = None) -> None:
        """Take in ``messages`` as one chunk, each of its Kafka partition (0 if none are given)."""
        places = []
        for (key, value), partition in zip(messages, partitions or [0] * len(messages), strict=True):
            offset = self._next_offsets[partition]
            self._next_offsets[partition] += 1
            places.append({"kafka_partition": partition, "kafka_offset": offset, "key": key, "value": value})
        ingest(self.connection, decode(pa.Table.from_pylist(places, MESSAGES_SCHEMA), NOW, ALLOWANCE), 1, NOW)

    def run(self, windows: WindowRange, steps: Sequence[str] = STEPS) -> None:
        """What a run of some or all assets does for ``windows``; raises what it would raise."""
        choices = self.choices
        regions = choices.regions.regions(self.connection)
        if "judge" in steps:
            sensors = sensors_to_judge(self.connection, regions)
            judge_windows(self.connection, windows, choices.first_window, sensors, regions_hash(regions))
        if "score" in steps:
            list(score_windows(self.connection, windows, choices.first_window, choices.parameters))
        if "select" in steps:
            select_anomalies(self.connection, windows, choices.thresholds)
        if "classify" in steps:
            classify_windows(self.connection, windows, regions, choices.thresholds, choices.rules)

    def tick(self, ended: WindowRange) -> None:
        """What the schedule does once the windows ``ended``."""
        for windows in due_ranges(self.connection, ended):
            self.run(windows)

    @property
    def status(self) -> StoreStatus:
        """What ``aqi-dagster status`` reads."""
        return store_status(self.connection, self.choices)

    def named(self) -> list[WindowRange]:
        """The ranges that ``aqi-dagster status`` names."""
        status = self.status
        found = [status.unscored, status.outdated, status.outdated_health, status.outdated_verdicts, *status.misplaced]
        return [one.windows for one in found if one is not None and one.windows is not None]

    def run_named(self, windows: WindowRange) -> None:
        """Run what is named for ``windows``: by an error that refuses them, or by status where other settings do."""
        try:
            self.run(windows)
        except RangeRequiredError as refused:
            self.run(refused.windows)
        except DetectorStateError:
            assert self.status.outdated.windows is not None
            self.run(self.status.outdated.windows)

    def mend(self) -> None:
        """Run what is named until nothing is."""
        for _ in range(12):
            named = self.named()
            if not named:
                return
            self.run_named(named[0])
        raise AssertionError(f"still to be run: {named}")

    def tables(self) -> dict[str, Any]:
        """What must not depend on how it came about, with detectors as the numbers that they hold."""
        states = rows(self.connection, "FROM detector_states ORDER BY sensor, window_start")
        return {
            "windows": rows(self.connection, WINDOWS),
            "scored_readings": rows(self.connection, "FROM scored_readings ORDER BY sensor, created_at"),
            "sensor_health": rows(self.connection, "FROM sensor_health ORDER BY window_start, sensor"),
            "anomalies": rows(self.connection, "FROM anomalies ORDER BY sensor, created_at"),
            "regional_windows": rows(self.connection, "FROM regional_windows ORDER BY window_start, region"),
            "detectors": {row[:2]: _numbers(StoredState(*row), self.choices.parameters) for row in states},
        }


def _numbers(stored: StoredState, parameters: DetectorParameters) -> tuple[Any, ...]:
    """Every field of a stored detector."""
    detector = load_state(stored, parameters)
    fields = {name: value for name, value in vars(detector).items() if name not in ("rng", "trees", "_tree_nodes")}
    nodes = [(n.l_mass, n.r_mass, getattr(n, "threshold", None)) for tree in detector._tree_nodes for n in tree]
    return fields, detector.rng.getstate(), nodes


def known(ran: Pipeline) -> dict[str, Any]:
    """All tables; of windows those that hold readings, since others may never have been asked for."""
    tables = ran.tables()
    return tables | {"windows": [row for row in tables["windows"] if row[1]]}


def one_pass(
    messages: Sequence[RawMessage], choices: Choices, last: datetime, ran: Pipeline | None = None
) -> dict[str, Any]:
    """The tables of one pull and one run of all windows up to ``last`` by the settings ``choices``.

    Where sensors are, and what is known of them, is taken from another pipeline, which ``ran``.
    """
    with pipeline(choices) as straight:
        straight.pull(messages)
        if ran is not None:
            for sensor, inside in rows(ran.connection, "SELECT sensor, location_type FROM sensors"):
                straight.connection.execute("UPDATE sensors SET location_type = ? WHERE sensor = ?", [inside, sensor])
            for looked_up in rows(ran.connection, "SELECT * FROM sensor_regions"):
                straight.connection.execute("INSERT INTO sensor_regions VALUES (?, ?, ?, ?)", list(looked_up))
            for recorded in rows(ran.connection, "SELECT * FROM known_trouble ORDER BY rowid"):
                record_trouble(straight.connection, Record(*recorded))
        straight.run(WindowRange(choices.first_window, last))
        return known(straight)


@contextmanager
def pipeline(choices: Choices = CHOICES) -> Iterator[Pipeline]:
    """One with an empty store, in memory."""
    with duckdb.connect(config={"threads": 1}) as connection:
        run_script(connection, "aqi_dagster.pipeline.store", "schema.sql")
        yield Pipeline(Writer(connection), choices)
