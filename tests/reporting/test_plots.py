"""The pictures on the asset pages: what is in them, what is left out, and how large they are."""

from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray
from PIL import Image

from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.regions.base import CountyRegions, OneRegion
from aqi_dagster.pipeline.reporting.plots import (
    _COLOURS,
    MAX_BYTES,
    MAX_NAMED,
    plot_region,
    plot_scores,
)
from aqi_dagster.pipeline.reporting.series import (
    Series,
    region_series,
    scored_series,
)
from aqi_dagster.pipeline.verdicts.notebook_rules import RegionalWindow
from aqi_dagster.windows import WINDOW_LENGTH
from tests.support.messages import at

WINDOW = at("2022-08-01 12:00")
LIMITS = Thresholds()

Pixels = NDArray[np.uint8]


def regional_window(sensors: list[str]) -> RegionalWindow:
    end = WINDOW + WINDOW_LENGTH
    return RegionalWindow("Tahoe", WINDOW, end, sensors, len(sensors), 20, WINDOW, 400.0, None, "smoke")


def series(sensor: str, pm25: float, anomalies: int = 0, noise: float = 0.0) -> Series:
    """Readings every two minutes of both windows; the last ``anomalies`` of them stand out."""
    steps = 720
    times = np.datetime64(WINDOW - WINDOW_LENGTH, "us") + np.arange(steps) * np.timedelta64(120, "s")
    anomalous = np.arange(steps) >= steps - anomalies
    values = pm25 * np.exp(np.random.default_rng(len(sensor)).normal(0, noise, steps)) + 400.0 * anomalous
    return Series(sensor, times, values, np.where(anomalous, 0.9, 0.1), anomalous)


def pixels(png: bytes) -> Pixels:
    picture = Image.open(BytesIO(png))
    assert picture.format == "PNG"
    return np.asarray(picture.convert("RGB"))


def count(picture: Pixels, colour: str) -> int:
    """Pixels that have exactly ``colour``."""
    return int((picture == np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)).all(axis=2).sum())


def test_anomalous_sensors_have_a_colour_each_and_the_others_are_grey() -> None:
    shown = [series("a", 20, anomalies=30), series("b", 30, anomalies=10), series("c", 5), series("d", 6)]
    picture = pixels(plot_region(regional_window(["a", "b"]), shown, LIMITS))
    found = [count(picture, colour) > 200 for colour in _COLOURS]
    assert found == [True, True, False, False, False, False]
    calm = pixels(plot_region(regional_window(["a", "b"]), shown[:2], LIMITS))
    assert count(picture, "#b0b0b0") > count(calm, "#b0b0b0") + 500


def judged_by_health(level: float | None) -> RegionalWindow:
    return replace(
        regional_window([]), rules="network", level=level, healthy_sensors=["a", "b"], broken_sensors=["broken $x$"]
    )


def test_healthy_and_broken_sensors_and_the_level_are_told_apart() -> None:
    shown = [series("a", 60), series("b", 80), series("broken $x$", 900, anomalies=3), series("new", 5)]
    picture = pixels(plot_region(judged_by_health(70.0), shown, LIMITS))
    healthy, broken, *rest = (count(picture, colour) > 200 for colour in _COLOURS)
    assert (healthy, broken, any(rest)) == (True, True, False)
    assert count(picture, "#b0b0b0") > 200
    assert (
        count(picture, "#222222") > count(pixels(plot_region(judged_by_health(None), shown, LIMITS)), "#222222") + 300
    )


def test_scores_show_only_sensors_with_anomalies() -> None:
    shown = [series("a", 20, anomalies=30), series("b", 5)]
    assert plot_scores(WINDOW, shown, LIMITS) == plot_scores(WINDOW, shown[:1], LIMITS)
    more = [*shown, series("c", 20, anomalies=1)]
    assert plot_scores(WINDOW, more, LIMITS) != plot_scores(WINDOW, shown, LIMITS)


def test_more_sensors_than_can_be_told_apart_are_not_named() -> None:
    many = [series("x" * number, 10 + number, anomalies=30 - number) for number in range(1, 2 * MAX_NAMED)]
    assert plot_scores(WINDOW, many, LIMITS) == plot_scores(WINDOW, many[:MAX_NAMED], LIMITS)


def test_anomalies_of_sensors_without_a_colour_are_marked_too() -> None:
    named = [series("x" * number, 10, anomalies=100 - number) for number in range(1, MAX_NAMED + 1)]
    calm, anomalous = (series("other", 10, anomalies=anomalies) for anomalies in (0, 20))
    # Both have the same line, above all the others.
    calm = replace(anomalous, anomalous=calm.anomalous, pm25=anomalous.pm25 * 3)
    anomalous = replace(anomalous, pm25=calm.pm25)
    marked, plain = (
        count(pixels(plot_region(regional_window(["x"]), [*named, one], LIMITS)), "#b0b0b0")
        for one in (anomalous, calm)
    )
    assert marked > plain + 100


def test_the_worst_noise_still_makes_a_small_picture() -> None:
    noisy = [series("x" * number, 30, anomalies=max(0, 40 - number), noise=1.0) for number in range(1, 150)]
    for png in (plot_region(regional_window(["x"]), noisy, LIMITS), plot_scores(WINDOW, noisy, LIMITS)):
        assert len(png) <= MAX_BYTES
        assert pixels(png).shape[1] >= 400


@pytest.mark.parametrize("pm25", [0.0, -20.0, 1.0, 5000.0, 1e6])
def test_any_values_can_be_drawn(pm25: float) -> None:
    one = [series("a", pm25, anomalies=1)]
    assert pixels(plot_region(regional_window(["a"]), one, LIMITS)).shape == (462, 860, 3)
    assert pixels(plot_scores(WINDOW, one, LIMITS)).shape == (462, 860, 3)


def test_a_sensor_with_a_single_reading_can_be_drawn() -> None:
    whole = series("a", 20, anomalies=1)
    last = [Series("a", whole.times[-1:], whole.pm25[-1:], whole.scores[-1:], whole.anomalous[-1:])]
    assert count(pixels(plot_region(regional_window(["a"]), last, LIMITS)), _COLOURS[0]) > 10


def test_the_thresholds_line_lies_where_the_setting_says() -> None:
    def row_of_dotted_line(pm25: float) -> int:
        picture = pixels(plot_region(regional_window(["a"]), [series("a", 100, anomalies=30)], Thresholds(pm25=pm25)))
        # Between the title and the axis nothing else is dark.
        inside = picture[60:340, 80:800]
        return int((inside < 0x90).all(axis=2).sum(axis=1).argmax())

    rows = [row_of_dotted_line(pm25) for pm25 in (20, 50, 300)]
    assert rows == sorted(set(rows), reverse=True)


def score(connection: DuckDBPyConnection, sensor: str, minutes: int, pm25: float, score: float) -> None:
    created_at = WINDOW + timedelta(minutes=minutes)
    start = WINDOW if minutes >= 0 else WINDOW - WINDOW_LENGTH
    connection.execute("INSERT INTO scored_readings VALUES (?, ?, ?, ?, ?)", [sensor, created_at, start, pm25, score])


def test_series_hold_both_windows_and_mark_only_the_newer_ones_anomalies(connection: DuckDBPyConnection) -> None:
    assert scored_series(connection, WINDOW, LIMITS) == []
    score(connection, "calm", 5, 10, 0)
    score(connection, "broken", -5, 900, 0.9)
    score(connection, "broken", 5, 950, 0.9)
    score(connection, "broken", 7, 40, 0.9)
    score(connection, "broken", 9, 960, 0.7)
    score(connection, "long ago", -800, 900, 0.9)
    connection.execute(
        "UPDATE scored_readings SET window_start = ? WHERE sensor = 'long ago'", [WINDOW - 2 * WINDOW_LENGTH]
    )
    broken, calm = scored_series(connection, WINDOW, LIMITS)
    assert (broken.sensor, broken.pm25.tolist()) == ("broken", [900, 950, 40, 960])
    assert broken.anomalous.tolist() == [False, True, False, False]
    assert (calm.sensor, calm.anomalies) == ("calm", 0)


def test_a_regions_picture_leaves_out_sensors_whose_county_was_never_asked_for(connection: DuckDBPyConnection) -> None:
    for sensor in ("45.1, -122", "45.2, -122", "45.3, -122", "45.4, -122"):
        score(connection, sensor, 5, 500, 0.9)
    regions = CountyRegions({"45.2, -122": "Tahoe", "45.3, -122": None}, "Elsewhere", "county")
    shown = region_series(connection, regional_window(["45.1, -122"]), regions, LIMITS)
    assert {one.sensor for one in shown} == {"45.1, -122", "45.2, -122"}
    everyone = region_series(connection, regional_window(["45.1, -122"]), OneRegion("Tahoe"), LIMITS)
    assert len(everyone) == 4
