"""What DuckDB sums up of stored anomalies is what Python makes of them one by one."""

from collections import defaultdict
from datetime import datetime, timedelta
from random import Random

from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aqi_dagster.pipeline.aqi import corrected_pm25
from aqi_dagster.pipeline.verdicts.anomaly_summary import Anomaly, AnomalySummary
from aqi_dagster.pipeline.verdicts.stored_anomalies import summarize_stored
from aqi_dagster.sensors import place_of
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.tables import undone

WINDOWS = WindowRange(FIRST_WINDOW, FIRST_WINDOW + WINDOW_LENGTH)

SENSORS = ["45.1, -122", "45.10, -122", "45.1, -122 #3", "45.2, -122", "-9.5, 11", "9.5, 11 #12", "9.5, 11 #3"]
"""Three texts of one device, and others whose order is not that of their numbers."""

INSIDE, TROUBLED = "45.2, -122", "9.5, 11 #12"


def region_of(sensor: str) -> str:
    """The device under three texts has a region of its own."""
    return "one device" if sensor.startswith("45.1") else "others"


def anomalies_of(connection: DuckDBPyConnection, random: Random) -> dict[tuple[datetime, str], list[Anomaly]]:
    """Store some anomalies with the readings behind them; returns those that count, by window and region."""
    expected = defaultdict(list)
    messages, stored = [], []
    for sensor in random.sample(SENSORS, random.randrange(1, len(SENSORS))):
        for minute in random.sample(range(24 * 60), random.randrange(1, 30)):
            moment = FIRST_WINDOW + timedelta(minutes=minute)
            pm25, humidity = round(random.uniform(51, 2200), 2), random.choice([-5.0, 20.0, 61.0, None])
            fields = {"sensor_index": sensor.partition(" #")[2] or None, "Humidity_%": humidity and str(humidity)}
            known = {name: value for name, value in fields.items() if value is not None}
            messages.append(message(place_of(sensor), moment, pm25, **known))
            stored.append([sensor, moment, window_start(moment), pm25, 0.9])
            if sensor != INSIDE and (sensor, window_start(moment)) != (TROUBLED, FIRST_WINDOW):
                anomaly = Anomaly(sensor, moment, pm25, corrected_pm25(pm25, humidity))
                expected[window_start(moment), region_of(sensor)].append(anomaly)
    assert take_in(connection, messages).accepted == len(messages)
    connection.executemany("INSERT INTO anomalies VALUES (?, ?, ?, ?, ?)", stored)
    connection.execute("UPDATE sensors SET location_type = 1 WHERE sensor = ?", [INSIDE])
    connection.execute(
        "INSERT INTO sensor_health (sensor, window_start, hours, mean_pm25, max_hour_pm25, corrected_pm25, "
        "hours_above_35, unlike_neighbours, is_new, on_probation, in_dispute, is_local, known_trouble) "
        "VALUES (?, ?, 1, 1, 1, 1, 0, false, false, false, false, false, 'broken')",
        [TROUBLED, FIRST_WINDOW],
    )
    return expected


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_summaries_are_those_of_one_anomaly_after_the_other(connection: DuckDBPyConnection, seed: int) -> None:
    with undone(connection):
        anomalies = anomalies_of(connection, Random(seed))  # noqa: S311 (no secret)
        found = summarize_stored(connection, WINDOWS, region_of)
        by_place = {(start, region): one for start, of_window in found.items() for region, one in of_window.items()}
        assert by_place == {place: AnomalySummary.of(of_place) for place, of_place in anomalies.items()}
        assert list(found) == list(WINDOWS)
