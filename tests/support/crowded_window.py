"""A window of very many sensors in smoke, and the memory that a process takes to work on it."""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from aqi_dagster.pipeline.detection.anomalies import Thresholds, select_anomalies
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.windows import WindowRange
from tests.support.messages import FIRST_WINDOW

WINDOW = WindowRange(FIRST_WINDOW, FIRST_WINDOW)

REGION = OneRegion("Lake Tahoe")

DUCKDB_MB = 128

# A reading every two minutes; four of five sensors are in smoke for an hour.
_FILL = """
INSERT INTO readings BY NAME
SELECT
    printf('%.4f, -122.5', 38 + number / 10000) AS sensor,
    $start + INTERVAL 2 MINUTES * slot AS created_at,
    $start AS window_start,
    CASE WHEN slot BETWEEN 300 AND 329 AND number % 5 > 0 THEN 800 + slot ELSE 5 + hash(number, slot) % 100 / 20 END
        AS pm25_cf1,
    40 AS humidity,
    false AS repeated,
    1 AS topic_generation,
    0 AS kafka_partition,
    slot * $sensors + number AS kafka_offset,
    $start AS ingested_at
FROM range(360) AS slots(slot), range($sensors) AS numbers(number)
"""

_SUM_UP = """
INSERT INTO windows (window_start, readings) SELECT window_start, count(*) FROM readings GROUP BY ALL;
INSERT INTO sensors BY NAME
SELECT sensor, min(created_at) AS first_reading, max(created_at) AS last_reading, count(*) AS readings
FROM readings
GROUP BY sensor
"""


def in_a_process(work: Callable[[Path, int], int], folder: Path, sensors: int) -> int:
    """What ``work`` returns in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, folder, sensors).result()


def fill(folder: Path, sensors: int) -> int:
    """Make a store whose one window holds the readings of so many ``sensors``; returns their number."""
    with Store(folder, memory_limit=DUCKDB_MB).exclusive() as writer:
        writer.execute(_FILL, {"start": FIRST_WINDOW, "sensors": sensors})
        writer.execute(_SUM_UP)
    return 360 * sensors


def work_on(folder: Path, sensors: int) -> int:
    """Judge, score and classify the window, by both sets of rules; returns the process's peak memory in bytes."""
    with Store(folder, memory_limit=DUCKDB_MB).exclusive() as writer:
        judge_windows(writer, WINDOW, WINDOW.first, REGION.known_region_of, "regions")
        (scored,) = score_windows(writer, WINDOW, WINDOW.first, DetectorParameters())
        assert (scored.readings, scored.sensors) == (360 * sensors, sensors)
        assert select_anomalies(writer, WINDOW, Thresholds()) == {FIRST_WINDOW: sensors // 5 * 4 * 30}
        for rules in RULE_SETS.values():
            ((verdict,),) = classify_windows(writer, WINDOW, REGION, rules=rules).values()
            assert (verdict.verdict, verdict.count_anomalies) == ("smoke", sensors // 5 * 4 * 30)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
