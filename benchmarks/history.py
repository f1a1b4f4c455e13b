"""What twelve more hours cost on top of a store that already holds years of readings."""

import os
import statistics
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np

from aqi_dagster.dagster_home import use_dagster_home
from aqi_dagster.feeds.producer import produce
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detector_banks import detector_bank
from aqi_dagster.pipeline.detection.detector_states import FORMAT_VERSION, RIVER_VERSION
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.pipeline.verdicts.look import Judging, look
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, parse_key, window_key
from benchmarks import generator
from benchmarks.pipeline import materialize

READINGS_A_WINDOW = generator.SENSORS * (WINDOW_LENGTH // generator.CADENCE)

WARM_UP = 3
"""Runs until the store has a published copy, a spare, and files in the page cache, as one in operation has."""


def run(servers: str, topic: str, repeat: str) -> dict[str, float]:
    """Median seconds of a run of the newest two windows, as the schedule starts it; new messages in one of them.

    The history before ``generator.START`` begins with ``AQI_FIRST_WINDOW``.
    """
    begin = parse_key(os.environ["AQI_FIRST_WINDOW"])
    windows = (generator.START - begin) // WINDOW_LENGTH
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_TOPIC=topic, AQI_DATA_DIR=f"{folder}/data")
        os.environ["DAGSTER_HOME"] = f"{folder}/dagster"
        use_dagster_home()
        store = Store(Path(folder) / "data")
        _fill(store, begin, windows)
        with dg.DagsterInstance.get() as instance:
            for number in range(WARM_UP + int(repeat)):
                start = generator.START + number * WINDOW_LENGTH
                news = generator.messages(READINGS_A_WINDOW, generator.SENSORS, start, seed=number)
                produce({"bootstrap.servers": servers}, topic, news)
                keys = window_key(start - WINDOW_LENGTH), window_key(start)
                seconds.append(materialize(instance, store, *keys)["run"])
            looks = _look(servers, topic, store, begin, int(repeat))
            started = time.monotonic()
            idle = materialize(instance, store, *keys)["run"]
            whole = time.monotonic() - started
        _require_complete(store, (windows + WARM_UP + int(repeat)) * READINGS_A_WINDOW)
        size = store.private.stat().st_size
    work = statistics.median(seconds[WARM_UP:])
    return {
        "work": work,
        "look": looks["seconds"],
        "look_cpu": looks["cpu"],
        "idle": idle,
        "idle_run": whole,
        "size": size,
    }


def _look(servers: str, topic: str, store: Store, begin: datetime, repeat: int) -> dict[str, float]:
    """Median seconds, by the clock and of processors, of a look at the open window: pull, judge, publish."""
    judging = Judging(begin, OneRegion("Bench"), RULE_SETS["network"], DetectorParameters(), Thresholds())
    reader = TopicReader({"bootstrap.servers": servers}, topic)
    with store.reader() as copy:
        ((newest,),) = copy.execute("SELECT max(window_start) FROM windows WHERE scored > 0").fetchall()
    seconds, cpu = [], []
    for number in range(1, repeat + 2):
        started, worked = time.monotonic(), time.process_time()
        with store.exclusive(tracked=True) as writer:
            pull(writer, reader, PullPolicy())
            look(writer, newest + WINDOW_LENGTH + number * timedelta(minutes=15), judging)
        store.publish()
        seconds.append(time.monotonic() - started)
        cpu.append(time.process_time() - worked)
    # The first one finds nothing in DuckDB's and the system's caches.
    return {"seconds": statistics.median(seconds[1:]), "cpu": statistics.median(cpu[1:])}


def _require_complete(store: Store, readings: int) -> None:
    with store.reader() as connection:
        (counts,) = connection.execute(
            "SELECT (SELECT count(*) FROM readings), (SELECT count(*) FROM scored_readings)"
        ).fetchall()
    if counts != (readings, readings):
        raise RuntimeError(f"the store holds {counts} readings and scored readings instead of {readings} of each")


def _fill(store: Store, begin: datetime, windows: int) -> None:
    """Readings, scores and states of ``windows`` windows from ``begin`` on, as the pipeline would have left them."""
    parameters = DetectorParameters()
    bank = detector_bank(parameters)
    bank.add([None])
    bank.score_and_learn([0], [300], np.random.default_rng(1).gamma(4.0, 2.0, 300))
    with store.exclusive() as connection:
        connection.execute(
            "CREATE TEMP TABLE names AS SELECT unnest(?) AS sensor", [generator.sensor_names(generator.SENSORS)]
        )
        connection.execute(
            """
            INSERT INTO readings BY NAME
            SELECT
                sensor,
                $start::TIMESTAMP + to_seconds(slot * 600 + rowid * 3 % 600) AS created_at,
                time_bucket(INTERVAL 12 HOURS, created_at, TIMESTAMP '1970-01-01') AS window_start,
                pm25 AS pm25_cf1, round(pm25 * 0.7, 2) AS pm1_cf1, round(pm25 * 1.2, 2) AS pm10_cf1,
                round(pm25 * 0.95, 2) AS pm25_atm, 70.0 AS temperature, 35.0 AS humidity, -60 AS rssi,
                slot * 10 AS uptime, slot AS entry_id, false AS repeated, 1 AS topic_generation,
                (rowid % 4)::INTEGER AS kafka_partition, slot AS kafka_offset, created_at AS ingested_at
            FROM (
                SELECT slot, names.rowid, sensor, round(random() * 40, 2) AS pm25
                FROM range($slots) AS t(slot), names
            )
            """,
            {"start": begin, "slots": windows * READINGS_A_WINDOW // generator.SENSORS},
        )
        connection.execute(
            "INSERT INTO scored_readings BY NAME "
            "SELECT sensor, created_at, window_start, pm25_cf1, round(0.4 + random() * 0.2, 1) AS score FROM readings"
        )
        connection.execute(
            """
            INSERT INTO windows BY NAME
            SELECT
                window_start, count(*) AS readings, count(*) AS scored, 1 AS revision, ? AS parameters_hash,
                1 AS selected, 1 AS classified, ? AS chain_start
            FROM readings
            GROUP BY window_start
            """,
            [parameters.hash(), begin],
        )
        connection.execute(
            """
            INSERT INTO sensors BY NAME
            SELECT
                sensor, min(created_at) AS first_reading, max(created_at) AS last_reading, count(*) AS readings,
                sensor AS place
            FROM readings
            GROUP BY sensor
            """
        )
        connection.execute(
            """
            INSERT INTO detector_states
            SELECT sensor, window_start, $state, $format, $river, $parameters
            FROM names, windows
            WHERE
                window_start >= (SELECT max(window_start) - INTERVAL 28 DAYS FROM windows)
                OR dayofweek(window_start) = 0 AND hour(window_start) = 12
            """,
            {
                "state": bank.states([0])[0],
                "format": FORMAT_VERSION,
                "river": RIVER_VERSION,
                "parameters": parameters.hash(),
            },
        )
        last = begin + (windows - 1) * WINDOW_LENGTH
        region = OneRegion(load_settings().region)
        recent = WindowRange(max(begin, last - 60 * WINDOW_LENGTH), last)
        judge_windows(connection, recent, begin, sensors_to_judge(connection, region), regions_hash(region))
