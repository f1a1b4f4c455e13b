"""The synthetic summer: the same however it is cut, plausible, and with labels that the rules come to."""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees
from scipy.stats import variation

from aqi_dagster.demo.episodes import Kind
from aqi_dagster.demo.summer import CADENCE, DAYS, Summer
from aqi_dagster.errors import ConfigurationError
from aqi_dagster.feeds.messages import Message
from aqi_dagster.message_fields import FieldNames
from aqi_dagster.windows import WINDOW_LENGTH, window_start

START = datetime(2022, 7, 18, 12)  # noqa: DTZ001 (naive UTC by the package's convention)

Reading = tuple[datetime, str, float]
"""created_at, sensor, PM2.5 CF1."""


@pytest.fixture(scope="module")
def summer() -> Summer:
    return Summer(START)


@pytest.fixture(scope="module")
def two_summers(summer: Summer) -> list[Reading]:
    """The readings of the first summer and of the repetition after it."""
    return [decode(message) for message in summer.messages(START, START + timedelta(days=2 * DAYS))]


def decode(message: Message) -> Reading:
    value = json.loads(message.value)
    created_at = datetime.fromisoformat(value["created_at"].removesuffix(" UTC"))
    return created_at, json.loads(message.key), float(value["PM2.5_CF1_ug/m3"])


def verdicts(readings: list[Reading]) -> dict[datetime, Kind]:
    """The rules in their plainest form: one River detector a sensor, then the verdict of each window with anomalies."""
    detectors: dict[str, Any] = defaultdict(
        lambda: HalfSpaceTrees(n_trees=4, height=3, window_size=50, seed=11, limits={"x": (0.0, 1200.0)})
    )
    anomalies: dict[datetime, list[tuple[str, float]]] = defaultdict(list)
    for created_at, sensor, pm25 in readings:
        detector, features = detectors[sensor], {"x": pm25}
        score = detector.score_one(features)
        detector.learn_one(features)
        if score > 0.7 and pm25 > 50:
            anomalies[window_start(created_at)].append((sensor, pm25))
    found: dict[datetime, Kind] = {}
    for window, members in anomalies.items():
        values = [pm25 for _, pm25 in members]
        alone = len({sensor for sensor, _ in members}) == 1
        broken = alone and (len(values) < 10 or variation(values) > 0.3)
        found[window] = "malfunction" if broken else "smoke"
    return found


def test_the_rules_come_to_the_labels(summer: Summer, two_summers: list[Reading]) -> None:
    assert verdicts(two_summers) == summer.expected_verdicts(START + timedelta(days=2 * DAYS), "notebook")


def test_a_summer_that_starts_at_midnight_keeps_its_labels() -> None:
    start = START + WINDOW_LENGTH
    end = start + timedelta(days=12)
    summer = Summer(start)
    found = verdicts([decode(message) for message in summer.messages(start, end)])
    assert found == summer.expected_verdicts(end, "notebook")


def test_every_sensor_reports_every_ten_minutes_in_order_of_time(summer: Summer, two_summers: list[Reading]) -> None:
    assert len(two_summers) == 2 * DAYS * 25 * 144
    assert all(before[0] < after[0] for before, after in pairwise(two_summers))
    for sensor in summer.sensors:
        times = [created_at for created_at, key, _ in two_summers if key == sensor]
        assert {after - before for before, after in pairwise(times)} == {CADENCE}


def test_air_is_clean_outside_the_episodes(summer: Summer, two_summers: list[Reading]) -> None:
    episodes = summer.episodes(START + timedelta(days=2 * DAYS))
    disturbed = {window for e in episodes for window in (window_start(e.start), window_start(e.end))}
    clean = [pm25 for created_at, _, pm25 in two_summers if window_start(created_at) not in disturbed]
    assert min(clean) >= 2
    assert max(clean) <= 15
    assert 4 < sum(clean) / len(clean) < 8


def test_smoke_reaches_all_its_sensors_and_no_other(summer: Summer, two_summers: list[Reading]) -> None:
    """What the notebook rules cannot tell stays below what their detectors see, and is no clean air."""
    for episode in summer.episodes(START + timedelta(days=DAYS)):
        found = [(key, pm25) for at, key, pm25 in two_summers if episode.start <= at < episode.end]
        moderate = episode.missed_by == "notebook"
        assert {key for key, pm25 in found if pm25 > (50 if moderate else 326)} == set(episode.sensors), episode.note
        assert not moderate or max(pm25 for _, pm25 in found) < 326


def test_messages_do_not_depend_on_how_the_time_is_cut(summer: Summer) -> None:
    begin, end = START + timedelta(days=1, hours=11), START + timedelta(days=3)
    whole = list(summer.messages(begin, end))
    cuts = [
        begin,
        begin + timedelta(seconds=241),
        begin + timedelta(hours=5, seconds=7),
        START + timedelta(days=2),
        end,
    ]
    assert [message for cut in pairwise(cuts) for message in summer.messages(*cut)] == whole
    assert len(whole) == 37 * 6 * 25
    assert list(Summer(START).messages(begin, end)) == whole


def test_ranges_are_half_open_and_begin_with_the_summer(summer: Summer) -> None:
    first = next(summer.messages(START - timedelta(days=1), START + CADENCE))
    assert json.loads(first.value)["created_at"] == "2022-07-18 12:00:00 UTC"
    assert list(summer.messages(START, START)) == []
    assert list(summer.messages(START, START + timedelta(seconds=1))) == [first]
    assert list(summer.messages(START - timedelta(days=2), START - timedelta(days=1))) == []
    assert list(summer.messages(START + timedelta(days=2), START + timedelta(days=1))) == []


def test_a_message_has_the_fields_of_the_topic_all_text(summer: Summer) -> None:
    message = next(summer.messages(START, START + CADENCE))
    assert message.key == b'"38.9399, -119.9772"'
    value = json.loads(message.value)
    assert list(value) == [
        "created_at",
        "entry_id",
        "PM1.0_CF1_ug/m3",
        "PM2.5_CF1_ug/m3",
        "PM10.0_CF1_ug/m3",
        "UptimeMinutes",
        "RSSI_dbm",
        "Temperature_F",
        "Humidity_%",
        "PM2.5_ATM_ug/m3",
    ]
    assert all(isinstance(text, str) for text in value.values())
    assert float(value["PM1.0_CF1_ug/m3"]) < float(value["PM2.5_CF1_ug/m3"]) < float(value["PM10.0_CF1_ug/m3"])


def test_sensors_are_25_places_around_the_lake(summer: Summer) -> None:
    places = [tuple(map(float, sensor.split(", "))) for sensor in summer.sensors]
    assert len(set(places)) == 25
    assert all(38.8 < latitude < 39.3 and -120.3 < longitude < -119.9 for latitude, longitude in places)


def test_no_window_holds_two_episodes(summer: Summer) -> None:
    episodes = summer.episodes(START + timedelta(days=3 * DAYS))
    for before, after in pairwise(episodes):
        assert window_start(before.end) < window_start(after.start), (before.note, after.note)


def test_the_last_days_hold_a_malfunction_and_a_smoke(summer: Summer) -> None:
    end = START + timedelta(days=DAYS)
    recent = summer.expected_verdicts(end)
    assert [kind for window, kind in recent.items() if window >= end - timedelta(hours=24)] == ["smoke"]
    assert "malfunction" in [kind for window, kind in recent.items() if window >= end - timedelta(hours=48)]


def test_verdicts_are_expected_only_of_windows_that_ended(summer: Summer) -> None:
    episode = summer.episodes(START + timedelta(days=DAYS))[0]
    window = window_start(episode.start)
    assert summer.episodes(episode.start) == []
    assert summer.expected_verdicts(episode.end) == {}
    assert summer.expected_verdicts(window + WINDOW_LENGTH) == {window: "malfunction"}


def test_the_schedule_repeats(summer: Summer) -> None:
    length = timedelta(days=DAYS)
    first = summer.expected_verdicts(START + length)
    both = summer.expected_verdicts(START + 2 * length)
    assert both == first | {window + length: kind for window, kind in first.items()}


def test_a_summer_starts_with_a_window() -> None:
    with pytest.raises(ConfigurationError, match="00:00 or 12:00 UTC"):
        Summer(START + timedelta(minutes=1))


def test_a_topic_may_call_the_fields_otherwise(summer: Summer) -> None:
    end = START + timedelta(hours=1)
    names = FieldNames({"created_at": "ts", "PM2.5_CF1_ug/m3": "created_at"})
    for ours, theirs in zip(summer.messages(START, end), Summer(START, names).messages(START, end), strict=True):
        expected = {names[field]: text for field, text in json.loads(ours.value).items()}
        assert (theirs.key, json.loads(theirs.value)) == (ours.key, expected)
