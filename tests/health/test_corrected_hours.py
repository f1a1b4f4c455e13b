"""EPA's correction of many hours at once."""

import numpy as np
import pytest

from aqi_dagster.pipeline.aqi import aqi, category, corrected_pm25
from aqi_dagster.pipeline.health.corrected_hours import SMOKE_PM25, correct_hours


def test_it_is_the_correction_of_single_values_bit_for_bit() -> None:
    pm25 = np.repeat(np.concatenate([np.arange(0, 2_000.5, 0.5), np.linspace(560, 620, 4_001)]), 5)
    humidity = np.resize(np.array([0.0, 13.7, 50.0, 88.8, 100.0]), len(pm25))
    expected = [corrected_pm25(*values) for values in zip(pm25.tolist(), humidity.tolist(), strict=True)]
    assert correct_hours(pm25, humidity).tolist() == expected


@pytest.mark.parametrize("humidity", [np.nan, -0.1, 100.1, -1e18])
def test_unusable_humidity_counts_as_half(humidity: float) -> None:
    assert correct_hours(np.array([100.0]), np.array([humidity])).tolist() == [corrected_pm25(100.0, 50.0)]


def test_values_that_single_ones_do_not_have() -> None:
    corrected = correct_hours(np.array([-50.0, -50.0, 3_000.0, 1e18, np.nan]), np.array([0.0, 90.0, 50.0, 50.0, 50.0]))
    assert corrected[:3].tolist() == [
        corrected_pm25(0.0, 0.0),
        0.0,
        0.000421 * 3_000.0 * 3_000.0 + 0.392 * 3_000.0 + 3.44,
    ]
    assert corrected[3] == pytest.approx(4.21e32)
    assert np.isnan(corrected[4])


def test_smoke_begins_where_the_index_leaves_moderate() -> None:
    assert category(aqi(SMOKE_PM25)).name == "Unhealthy for Sensitive Groups"
    assert category(aqi(SMOKE_PM25 - 0.1)).name == "Moderate"
