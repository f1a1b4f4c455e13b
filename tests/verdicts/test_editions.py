"""A release whose rules come to other results says so: what earlier ones stored is then named as outdated.

What two weeks of made readings come to is compared with what it came to when the edition was given its number.
"""

import hashlib

import pytest

from aqi_dagster.message_fields import MASSES
from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health import judge_windows, sensors_to_judge
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.outdated import outdated_health, outdated_verdicts
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows, verdicts_hash
from aqi_dagster.pipeline.verdicts.regional_window import Rules
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange
from tests.support.health import REGION_NAME, Hourly, around, everywhere, report, window_at
from tests.support.messages import FIRST_WINDOW
from tests.support.tables import rows

WINDOWS = 28

ALL = WindowRange(FIRST_WINDOW, window_at(WINDOWS - 1))

REGION = OneRegion(REGION_NAME)

SMOKE = {9: 180.0, 10: 95.0, 20: 700.0}
"""Means of the windows in which all air is smoke, ug/m3 (CF=1)."""

EDITIONS = {
    "health": (1, "3eb83f638cfa42ad"),
    "notebook": (1, "616e9d14ecb984fc"),
    "network": (1, "b51d1969c0c2cc72"),
}
"""By rules: the edition, and the digest of what it makes of the readings. One never changes without the other."""

ALL_BUT_SENTENCES = "SELECT COLUMNS(lambda name: name <> 'reason') FROM {} ORDER BY ALL"


def air(number: int) -> float:
    """What there is to read in a window, ug/m3."""
    return SMOKE.get(number, 4.0 + number % 5 * 3.0)


def readings_of(number: int) -> tuple[dict[str, float | Hourly], dict[str, float | Hourly]]:
    """What first and second lasers read in a window: three sensors are well, the others break, most of them midway."""
    usual, late = air(number), number >= WINDOWS // 2
    first: dict[str, float | Hourly] = {
        "39.10, -120.00": usual,
        "39.11, -120.01": usual * 1.1,
        "39.12, -120.02": usual * 0.92,
        "39.13, -120.03": 0.0 if late else usual,
        "39.14, -120.04": [33.0] * 12 if late else usual,
        "39.15, -120.05": usual * 9 if late else usual,
        "39.16, -120.06": usual / 9 if late else usual,
        "39.17, -120.07": usual,
        "39.18, -120.08": 5000.0 if late else usual,
        "39.19, -120.09": [*[900.0] * 3, *around(usual)[3:]] if number in (5, 24) else usual,
    }
    second: dict[str, float | Hourly] = {"39.17, -120.07": usual * 7 if late else usual, "39.10, -120.00": usual * 1.05}
    return first, second


@pytest.fixture
def judged(connection: Writer) -> Writer:
    """A store that holds the readings, their scores, anomalies and health."""
    for number in range(WINDOWS):
        report(connection, number, *readings_of(number), humidity=f"{30 + number}")
        failed = 900.0 if number >= WINDOWS // 2 else air(number)
        report(connection, number, {"39.20, -120.10": failed}, **{MASSES["pm1_cf1"]: "25", MASSES["pm10_cf1"]: "26"})
    judge_windows.judge_windows(connection, ALL, FIRST_WINDOW, everywhere, "regions")
    list(score_windows(connection, ALL, FIRST_WINDOW, DetectorParameters()))
    select_anomalies(connection, ALL, Thresholds())
    return connection


def as_text(value: object) -> str:
    """A stored value as text; of a number, the digits that every machine gives."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_text, value))}]"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def digest(connection: Writer, *tables: str) -> str:
    """A digest of all rows of tables, without their sentences."""
    found = [as_text([*row]) for table in tables for row in rows(connection, ALL_BUT_SENTENCES.format(table))]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def test_the_rules_on_health_are_those_of_their_edition(judged: Writer) -> None:
    faults = {fault for (fault,) in rows(judged, "SELECT DISTINCT fault FROM sensor_health")}
    assert faults == {None, "disagree", "impossible", "flat", "stuck", "dead", "low", "high"}
    assert (judge_windows.EDITION, digest(judged, "sensor_health", "regional_hours")) == EDITIONS["health"]


@pytest.mark.parametrize("rules", RULE_SETS.values(), ids=RULE_SETS.keys())
def test_the_rules_for_verdicts_are_those_of_their_edition(judged: Writer, rules: Rules) -> None:
    classify_windows(judged, ALL, REGION, rules=rules)
    assert {verdict for (verdict,) in rows(judged, "SELECT verdict FROM regional_windows")} >= {"smoke", "malfunction"}
    assert (rules.edition, digest(judged, "regional_windows")) == EDITIONS[rules.name]


def test_what_an_earlier_edition_judged_is_named(judged: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    regions = regions_hash(REGION)
    judge_windows.judge_windows(judged, ALL, FIRST_WINDOW, everywhere, regions)
    assert outdated_health(judged, FIRST_WINDOW, regions).windows is None
    monkeypatch.setattr(sensors_to_judge, "EDITION", judge_windows.EDITION + 1)
    assert outdated_health(judged, FIRST_WINDOW, regions_hash(REGION)).windows == ALL


@pytest.mark.parametrize("rules", RULE_SETS.values(), ids=RULE_SETS.keys())
def test_what_an_earlier_edition_decided_is_named(
    judged: Writer, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outdated() -> WindowRange | None:
        by = verdicts_hash(Thresholds(), REGION, rules)
        return outdated_verdicts(judged, FIRST_WINDOW, Thresholds().hash(), by).windows

    classify_windows(judged, ALL, REGION, rules=rules)
    assert outdated() is None
    monkeypatch.setattr(type(rules), "edition", rules.edition + 1)
    assert outdated() == ALL
    classify_windows(judged, ALL, REGION, rules=rules)
    assert outdated() is None
