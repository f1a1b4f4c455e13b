"""The past look by look: warned in time, told once, and not told of what was no smoke."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from aqi_dagster.demo.replay import Told, replay, replay_messages
from aqi_dagster.feeds.messages import Message
from tests.support.messages import at, message
from tests.support.places import SHARED

HOUR = timedelta(hours=1)

BEGIN = at("2026-11-02")

SMOKE = (BEGIN + 8 * HOUR, BEGIN + 12 * HOUR)


def headings(told: list[Told]) -> list[tuple[str, datetime]]:
    return [(one.payload["text"].split(" in ")[0], one.moment) for one in told]


def readings() -> list[Message]:
    """A day of three sensors, with some hours of smoke."""
    sent = []
    for slot in range(24 * 3):
        moment = BEGIN + slot * timedelta(minutes=20)
        pm25 = 300.0 if SMOKE[0] <= moment < SMOKE[1] else 8.0
        for number in range(3):
            key, value = message(f"45.{number}, -122", moment, pm25 + (slot * 7 + number) % 10)
            assert key is not None
            assert value is not None
            sent.append(Message(key, value))
    return sent


def test_an_episode_as_somebody_reads_it_in_the_channel() -> None:
    told = list(replay_messages(readings(), "network", "Portland", HOUR))
    assert headings(told) == [
        ("Smoke Now", BEGIN + 9 * HOUR),
        ("Suspected Smoke Event", BEGIN + 12 * HOUR + timedelta(minutes=10)),
        ("All Clear", BEGIN + 21 * HOUR),
    ]
    warned, verdict, clear = map(str, told)
    assert warned.startswith("=== Monday, 2026-11-02 09:00 UTC ===\n🔥 Smoke Now\nPortland, 2026-11-02 09:00 UTC")
    assert "(Mon 01:00 PST)" in warned
    assert "its verdict is told then" in warned
    assert "This confirms the early warning of 09:00 UTC (01:00 PST)." in verdict
    assert "If smoke comes, you are warned anew." in clear


@pytest.mark.long
def test_portlands_smoke_is_told_in_time_and_once() -> None:
    told = _replay("portland_2020_native")
    warned = [moment for heading, moment in headings(told) if heading == "Smoke Now"]
    for first_hour in (at("2020-09-07 23:00"), at("2020-09-10 16:00")):
        assert any(first_hour <= moment <= first_hour + 3 * HOUR for moment in warned), first_hour
    assert len(warned) <= 3
    smoke = {
        one.payload["text"].split(", ")[1][:16] for one in told if one.payload["text"].startswith("Suspected Smoke")
    }
    windows = {f"{moment.replace(hour=moment.hour // 12 * 12):%Y-%m-%d %H:00}" for moment in warned}
    assert len(windows - smoke) <= 1
    assert max(Counter(one.payload["text"] for one in told).values()) == 1


@pytest.mark.long
def test_made_faults_are_no_smoke() -> None:
    told = _replay("capital_2024_faults")
    assert {"Smoke Now", "Suspected Smoke Event"}.isdisjoint(heading for heading, _ in headings(told))
    assert "Broken Sensor" in {heading for heading, _ in headings(told)}


def _replay(name: str) -> list[Told]:
    """What is told of a shared set of readings, with a look every hour."""
    path = SHARED / "data" / f"{name}.ndjson.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return list(replay([path], "network", name, HOUR))
