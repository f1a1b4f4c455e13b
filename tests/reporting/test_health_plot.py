"""The picture of sensors' health over time: who is in it, which colour each has, and how large it is."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aqi_dagster.pipeline.health.health_table import HEALTH_SCHEMA, Fault
from aqi_dagster.pipeline.reporting.health_plot import (
    COLOURS,
    MAX_SENSORS,
    SHOWN,
    HealthHistory,
    health_history,
    plot_health,
)
from aqi_dagster.pipeline.reporting.plots import MAX_BYTES
from aqi_dagster.pipeline.store.sql import Writer
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import at

NEWEST = at("2022-08-31 12:00")

_HEALTH = """
INSERT INTO sensor_health BY NAME
SELECT
    ? AS sensor, ? AS window_start, ? AS hours, ? AS fault, ? AS is_local, ? AS unlike_neighbours, 'Tahoe' AS region,
    5 AS mean_pm25, 5 AS max_hour_pm25, 5 AS corrected_pm25, 0 AS hours_above_35, false AS is_new,
    false AS on_probation, false AS in_dispute
"""


def put(connection: Writer, sensor: str, before: int, state: str = "healthy") -> None:
    """Have a sensor be in a ``state`` in the window that lies so many before the newest one."""
    hours = 3 if state.startswith("too few") else 12
    fault = state if state in Fault.__args__ else None  # type: ignore[attr-defined]
    connection.execute(
        _HEALTH, [sensor, NEWEST - before * WINDOW_LENGTH, hours, fault, state == "local", state == "no vote"]
    )


def pixels(png: bytes) -> NDArray[np.uint8]:
    picture = Image.open(BytesIO(png))
    assert picture.format == "PNG"
    return np.asarray(picture.convert("RGB"))


def share(picture: NDArray[np.uint8], colour: str) -> float:
    """The share of pixels that have about that ``colour``."""
    wanted = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(int)
    return float((np.abs(picture.astype(int) - wanted).max(axis=2) <= 6).mean())


def test_every_state_has_a_colour() -> None:
    assert set(Fault.__args__) <= set(COLOURS)  # type: ignore[attr-defined]
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert "fault" in HEALTH_SCHEMA.names


def test_states_are_told_apart_and_who_has_most_faults_comes_first(connection: Writer) -> None:
    for before in range(4):
        put(connection, "b", before)
        put(connection, "c", before, "no vote" if before else "too few hours, or not judged")
        put(connection, "a", before, "flat" if before < 2 else "local")
    put(connection, "a", 2000, "dead")
    history = health_history(connection, NEWEST)
    assert history is not None
    assert list(history.states) == ["a", "c", "b"]
    assert list(history.states["a"].values()) == ["local", "local", "flat", "flat"]
    assert (history.windows, history.left_out) == (WindowRange(NEWEST - 3 * WINDOW_LENGTH, NEWEST), 0)
    picture = pixels(plot_health(history))
    shares = {state: share(picture, colour) for state, colour in COLOURS.items()}
    assert all(shares[state] > 0.01 for state in ("healthy", "no vote", "flat", "local"))
    assert max(shares[state] for state in ("dead", "disagree", "impossible", "known")) < 0.01


def test_a_store_without_health_has_no_picture(connection: Writer) -> None:
    assert health_history(connection, NEWEST) is None


@pytest.mark.parametrize("name", ["$a$ <b>", "x" * 300, "38.9, -120.1 #1"])
def test_a_picture_of_many_sensors_and_of_odd_names_stays_small(name: str) -> None:
    windows = WindowRange(NEWEST - SHOWN + WINDOW_LENGTH, NEWEST)
    states = [*COLOURS]
    history = HealthHistory(
        windows,
        {
            f"{name}{row}": {start: states[(row * 7 + place) % len(states)] for place, start in enumerate(windows)}
            for row in range(MAX_SENSORS)
        },
        left_out=9_960,
    )
    assert len(plot_health(history)) < MAX_BYTES


def test_only_sensors_with_most_faults_are_shown_and_the_others_counted(connection: Writer) -> None:
    for number in range(MAX_SENSORS + 3):
        put(connection, f"sensor {number:02d}", 0, "high" if number >= 3 else "healthy")
    history = health_history(connection, NEWEST)
    assert history is not None
    assert (len(history.states), history.left_out) == (MAX_SENSORS, 3)
    assert "sensor 00" not in history.states
