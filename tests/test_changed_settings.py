"""A setting that results are made by is changed: it is said, with the range that gives the tables of a fresh store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aqi_dagster.errors import (
    AqiError,
    ChangedFirstWindowError,
    DetectorStateError,
    OutdatedAnomaliesError,
    UnjudgedWindowsError,
)
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW, RawMessage, message
from tests.support.pipeline import CHOICES, REGION, Pipeline, one_pass, pipeline
from tests.support.window_readings import SENSORS

WINDOWS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(-1, 5)]
"""The first of them lies before the first window of :data:`CHOICES`."""

LAST = WindowRange(WINDOWS[-1], WINDOWS[-1])

CHANGES: Sequence[tuple[str, dict[str, Any], type[AqiError] | None]] = [
    ("a later first window", {"first_window": WINDOWS[3]}, ChangedFirstWindowError),
    ("an earlier first window", {"first_window": WINDOWS[0]}, UnjudgedWindowsError),
    ("a detector parameter", {"parameters": DetectorParameters(window_size=9)}, DetectorStateError),
    ("the threshold of scores", {"thresholds": Thresholds(score=0.3)}, None),
    ("the threshold of PM2.5", {"thresholds": Thresholds(score=0.5, pm25=400.0)}, None),
    ("the region", {"regions": replace(REGION, name="Tahoe Basin")}, None),
    ("how regions are found", {"regions": replace(REGION, method="county")}, None),
    ("the rules", {"rules": RULE_SETS["network"]}, None),
]


def readings() -> list[RawMessage]:
    """A reading of each sensor every 25 minutes; some are high, in each window other ones."""
    moments = range(0, len(WINDOWS) * 720, 25)
    return [
        message(sensor, WINDOWS[0] + timedelta(minutes=minute + place), 9.0 + (minute * (place + 3) % 11 == 0) * 500.0)
        for minute in moments
        for place, sensor in enumerate(SENSORS)
    ]


def run_of_the_newest_window(ran: Pipeline) -> type[Exception] | None:
    """The error that refuses it, if one does."""
    try:
        ran.run(LAST)
    except AqiError as error:
        return type(error)
    return None


def test_a_sensor_of_which_it_is_said_later_that_it_is_inside_is_named_where_it_was_counted() -> None:
    with pipeline() as ran:
        inside = message(SENSORS[0], LAST.last + timedelta(hours=11, minutes=59), 9.0, location_type="1")
        ran.pull(readings())
        ran.run(WindowRange(CHOICES.first_window, LAST.last))
        ran.pull([inside])
        ran.run(LAST)
        assert WindowRange(FIRST_WINDOW, LAST.last) in ran.named()
        ran.mend()
        assert ran.tables() == one_pass([*readings(), inside], ran.choices, LAST.last)


def test_verdicts_mix_no_anomalies_of_other_thresholds() -> None:
    """As a backfill of the last asset alone would."""
    with pipeline() as ran:
        ran.pull(readings())
        ran.run(WindowRange(CHOICES.first_window, LAST.last))
        ran.change(thresholds=Thresholds(score=0.3))
        with pytest.raises(OutdatedAnomaliesError) as refused:
            ran.run(WindowRange(WINDOWS[2], WINDOWS[3]), ["classify"])
        assert refused.value.windows == WindowRange(WINDOWS[2], WINDOWS[3])
        ran.run(refused.value.windows, ["select", "classify"])


def test_anomalies_of_a_threshold_that_was_only_tried_are_named() -> None:
    """The verdicts are still those of the present one, but not of the anomalies that are stored."""
    with pipeline() as ran:
        ran.pull(readings())
        ran.run(WindowRange(CHOICES.first_window, LAST.last))
        before = ran.tables()
        ran.change(thresholds=Thresholds(score=0.3))
        ran.run(LAST, ["select"])
        ran.change(thresholds=CHOICES.thresholds)
        assert ran.named() == [LAST]
        ran.mend()
        assert ran.tables() == before


@pytest.mark.parametrize(("setting", "refused_by"), [change[1:] for change in CHANGES], ids=[one[0] for one in CHANGES])
def test_what_is_named_after_a_change_gives_the_tables_of_a_fresh_store(
    setting: dict[str, Any], refused_by: type[AqiError] | None
) -> None:
    with pipeline() as ran:
        ran.pull(readings())
        ran.run(WindowRange(CHOICES.first_window, LAST.last))
        assert ran.named() == []
        before = ran.tables()
        ran.change(**setting)
        told = ran.named()
        assert told
        assert min(windows.first for windows in told) == max(setting.get("first_window", FIRST_WINDOW), WINDOWS[0])
        assert run_of_the_newest_window(ran) is refused_by
        # Whether it was refused or not: what the others still hold is told.
        assert ran.named()
        ran.mend()
        assert ran.tables() == one_pass(readings(), ran.choices, LAST.last) != before
