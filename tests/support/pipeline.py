"""The pipeline's steps on one connection, without Kafka and Dagster, and the ranges that it names run until none is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import DetectorStateError, RangeRequiredError
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.retention import thin_states
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.known_trouble import Record, record_trouble
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.pull import PullPolicy, PullReport, pull
from aqi_dagster.pipeline.regions.choice import RegionChoice
from aqi_dagster.pipeline.reporting.status import Choices, StoreStatus, store_status
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.sql import Writer, registered, run_script, scalar
from aqi_dagster.pipeline.verdicts.classify_windows import NOTEBOOK_RULES, classify_windows
from aqi_dagster.windows import WindowRange
from tests.support.clocks import clock_at
from tests.support.messages import ALLOWANCE, FIRST_WINDOW, NOW, RawMessage
from tests.support.results import differences, results
from tests.support.tables import rows
from tests.support.topic_log import TopicLog

REGION = RegionChoice("name", "Lake Tahoe", None, "", "", "Elsewhere")

CHOICES = Choices(FIRST_WINDOW, DetectorParameters(window_size=6), Thresholds(score=0.5), REGION, NOTEBOOK_RULES)
"""Settings by which few readings make anomalies."""

STEPS = ("judge", "score", "select", "classify")

INPUTS = {
    "readings": "*",
    "sensors": "*",
    "sensor_regions": "*",
    "known_trouble": "*",
    "windows": "window_start, readings",
}
"""What results are made from."""

ALL_STATES = timedelta(days=36_500)


@dataclass
class Pipeline:
    """A store, the topic that it reads, and the settings that its results are to be made by."""

    connection: Writer
    choices: Choices = CHOICES
    states_kept: timedelta = ALL_STATES
    log: TopicLog = field(default_factory=TopicLog)

    def change(self, **settings: Any) -> None:
        """Take other settings from here on."""
        self.choices = replace(self.choices, **settings)

    def pull(self, messages: Sequence[RawMessage] = (), partitions: Sequence[int] | None = None) -> PullReport:
        """Take in what the topic holds, with ``messages`` at last, each of its partition (0 if none are given)."""
        self.log.send(messages, partitions)
        return self.pull_at(NOW)

    def pull_at(self, now: datetime) -> PullReport:
        """Take in what the topic holds by a clock that says ``now``."""
        with clock_at(now):
            return pull(self.connection, self.log, PullPolicy(ALLOWANCE))

    def run(self, windows: WindowRange, steps: Sequence[str] = STEPS) -> None:
        """What a run of some or all assets does for ``windows``; raises what it would raise."""
        choices = self.choices
        regions = choices.regions.regions(self.connection)
        if "judge" in steps:
            sensors = sensors_to_judge(self.connection, regions)
            judge_windows(self.connection, windows, choices.first_window, sensors, regions_hash(regions))
        if "score" in steps:
            list(score_windows(self.connection, windows, choices.first_window, choices.parameters))
            thin_states(self.connection, windows.first, self.states_kept)
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
        return named_ranges(self.status)

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
        """What must not depend on how it came about."""
        return results(self.connection, self.choices.parameters)

    def place_sensors(self, other: "Pipeline") -> None:
        """Take over where sensors are, and what is known of them, from another pipeline."""
        for sensor, inside in rows(other.connection, "SELECT sensor, location_type FROM sensors"):
            self.connection.execute("UPDATE sensors SET location_type = ? WHERE sensor = ?", [inside, sensor])
        for looked_up in rows(other.connection, "SELECT * FROM sensor_regions"):
            self.connection.execute("INSERT INTO sensor_regions VALUES (?, ?, ?, ?)", list(looked_up))
        for recorded in rows(other.connection, "SELECT * FROM known_trouble ORDER BY rowid"):
            record_trouble(self.connection, Record(*recorded))

    def back_up(self, copy: Path) -> None:
        """Copy the store into a file, which must not be there."""
        with _attached(self.connection, copy):
            self.connection.execute("COPY FROM DATABASE memory TO copy")

    def restore(self, copy: Path) -> None:
        """Put a copy in the place of the store; the topic stays as it is."""
        self.connection.close()
        self.connection = _connect()
        with _attached(self.connection, copy):
            self.connection.execute("COPY FROM DATABASE copy TO memory")

    def wipe(self) -> None:
        """Begin with an empty store; the topic stays as it is."""
        self.connection.close()
        self.connection = _made()


def named_ranges(status: StoreStatus) -> list[WindowRange]:
    """The ranges that are to be run."""
    found = [status.unscored, status.outdated, status.outdated_health, status.outdated_verdicts, *status.misplaced]
    return [one.windows for one in found if one is not None and one.windows is not None]


def wrong_without_a_word(connection: DuckDBPyConnection, choices: Choices) -> dict[str, int] | None:
    """How many rows are not those of one pass over the readings of a store, by table; None if a range is named."""
    if named_ranges(store_status(connection, choices)):
        return None
    return differences(results(connection, choices.parameters), one_pass_over(connection, choices))


def one_pass_over(source: DuckDBPyConnection, choices: Choices) -> dict[str, Any]:
    """The results of one run over all readings that ``source`` has taken in, by the settings ``choices``."""
    with pipeline(choices) as straight:
        for table, columns in INPUTS.items():
            with registered(
                straight.connection, "taken_in", source.sql(f"SELECT {columns} FROM {table}").to_arrow_table()
            ):
                straight.connection.execute(f"INSERT INTO {table} BY NAME FROM taken_in")
        newest = scalar(straight.connection, "SELECT max(window_start) FROM windows WHERE readings > 0")
        if newest is not None and newest >= choices.first_window:
            straight.run(WindowRange(choices.first_window, newest))
        return straight.tables()


def one_pass(
    messages: Sequence[RawMessage], choices: Choices, last: datetime, ran: Pipeline | None = None
) -> dict[str, Any]:
    """The results of one pull and one run of all windows up to ``last`` by the settings ``choices``.

    Where sensors are, and what is known of them, is taken from another pipeline, which ``ran``.
    """
    with pipeline(choices) as straight:
        straight.pull(messages)
        if ran is not None:
            straight.place_sensors(ran)
        straight.run(WindowRange(choices.first_window, last))
        return straight.tables()


@contextmanager
def pipeline(choices: Choices = CHOICES) -> Iterator[Pipeline]:
    """One with an empty store, in memory, and an empty topic."""
    ran = Pipeline(_made(), choices)
    try:
        yield ran
    finally:
        ran.connection.close()


def _connect() -> Writer:
    return Writer(duckdb.connect(config={"threads": 1}))


def _made() -> Writer:
    connection = _connect()
    run_script(connection, "aqi_dagster.pipeline.store", "schema.sql")
    return connection


@contextmanager
def _attached(connection: Writer, copy: Path) -> Iterator[None]:
    connection.execute(f"ATTACH '{copy}' AS copy")
    yield
    connection.execute("DETACH copy")
