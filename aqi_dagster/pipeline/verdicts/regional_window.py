"""What a verdict is made from and what it is: the evidence of one region and window, and its regional window.

This module alone writes the table ``regional_windows``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, Protocol

from aqi_dagster.pipeline.health.health_table import SensorHealth
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.anomaly_summary import AnomalySummary
from aqi_dagster.windows import WindowRange

Verdict = Literal["smoke", "malfunction", "undecided"]

Confidence = Literal["high", "low"]


@dataclass(frozen=True)
class Evidence:
    """What is known of one region in the window that starts at ``window_start``: what its anomalies come to.

    ``health`` has a row for each sensor of the region that reported.
    """

    region: str
    window_start: datetime
    anomalies: AnomalySummary
    health: Sequence[SensorHealth] = ()


@dataclass(frozen=True)
class RegionalWindow:
    """One region in one 12-hour window: a row of ``regional_windows``, whose columns say what each field means."""

    region: str
    window_start: datetime
    window_end: datetime
    sensors: list[str]
    count_sensors: int
    count_anomalies: int
    min_event: datetime | None
    max_pm25: float | None
    variation: float | None
    verdict: Verdict
    max_pm25_corrected: float | None = None
    aqi_of_max: int | None = None
    aqi_category: str | None = None
    others_pm25: list[float] | None = None
    implausible: list[str] | None = None
    rules: str = "notebook"
    level: float | None = None
    healthy_sensors: list[str] | None = None
    broken_sensors: list[str] | None = None
    confidence: Confidence | None = None
    reason: str | None = None


class Rules(Protocol):
    """A set of rules for verdicts."""

    @property
    def name(self) -> str:
        """Which rules these are."""

    @property
    def edition(self) -> int:
        """One more with every release by which any evidence comes to another regional window.

        The ledger notes it, so that what an earlier edition decided is named as outdated.
        """

    @property
    def judges_all_sensors(self) -> bool:
        """Whether the regions of all sensors have to be known, or of those with an anomaly alone."""

    def judge(self, evidence: Evidence) -> RegionalWindow | None:
        """The regional window that follows from ``evidence``, or None if there is nothing to say."""


_COLUMNS = [field.name for field in fields(RegionalWindow)]

_INSERT = f"""
INSERT INTO regional_windows BY NAME
SELECT {", ".join(f"${name} AS {name}" for name in _COLUMNS)}
"""


def overwrite_regional_windows(writer: Writer, windows: WindowRange, judged: Iterable[RegionalWindow]) -> None:
    """Replace the regional windows of ``windows`` by those that were ``judged``."""
    writer.execute("DELETE FROM regional_windows WHERE window_start BETWEEN $first AND $last", windows.bounds)
    # What another first window left: whoever began with the present one has forgotten the scores.
    writer.execute(
        "DELETE FROM regional_windows WHERE window_start IN (SELECT window_start FROM windows WHERE scored IS NULL)"
    )
    for window in judged:
        row: dict[str, Any] = vars(window)
        writer.execute(_INSERT, row)
