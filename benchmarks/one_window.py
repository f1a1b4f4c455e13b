"""``python -m benchmarks.one_window``: memory and time of one window of very many sensors, most of them in smoke.

Its process reads the topic, judges by both sets of rules, and publishes; 30,000 sensors send 10,800,000 messages, and
producing these takes minutes.
"""

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np

import aqi_dagster.pipeline.decoding.fast_path  # noqa: F401 (imported before the first fetch)
from aqi_dagster.definitions import resources
from aqi_dagster.feeds.messages import Message
from aqi_dagster.pipeline.detection.anomalies import select_anomalies
from aqi_dagster.pipeline.detection.retention import thin_states
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.health.judge_windows import judge_windows
from aqi_dagster.pipeline.health.sensors_to_judge import regions_hash, sensors_to_judge
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.verdicts.classify_windows import classify_windows
from aqi_dagster.pipeline.verdicts.rule_sets import RULE_SETS
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from benchmarks import generator
from benchmarks.measuring import filled_topic, measure, set_range, show
from benchmarks.pipeline import results

CADENCE = timedelta(minutes=2)

READINGS = WINDOW_LENGTH // CADENCE

PLUME = range(300, 330)
"""The readings, counted from 0, that four of five sensors take in smoke: enough of it for both sets of rules."""


def messages(sensors: int) -> Iterator[Message]:
    """The messages of one window, in order of time."""
    random = np.random.default_rng(7)
    names = generator.sensor_names(sensors)
    for slot in range(READINGS):
        pm25 = np.clip(random.gamma(4.0, 2.0, sensors), 0.5, 40.0)
        if slot in PLUME:
            pm25[np.arange(sensors) % 5 > 0] += 700 + 200 * random.random()
        for number, name in enumerate(names):
            moment = generator.START + slot * CADENCE + timedelta(seconds=number % 120)
            yield generator.reading(name, moment, pm25[number], slot * sensors + number, uptime=slot * 2)


def run(servers: str, topic: str) -> dict[str, Any]:
    """What a run does, by both sets of rules one after the other: seconds of each step, and its peak memory so far."""
    os.environ.update(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_TOPIC=topic)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        steps = _run(store)
        return {"steps": steps, **results(store)}


def _run(store: Store) -> list[list[Any]]:
    given: dict[str, Any] = resources(load_settings())
    start = generator.START
    windows, choice = WindowRange(start, start), given["regions"].choice
    steps: list[list[Any]] = []

    @contextmanager
    def step(name: str) -> Iterator[Any]:
        begun, processor = time.monotonic(), time.process_time()
        with store.exclusive() as writer:
            yield writer
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        steps.append([name, time.monotonic() - begun, time.process_time() - processor, peak])

    with step("pull") as writer:
        pull(writer, given["kafka"].reader, PullPolicy())
    with step("judge sensors") as writer:
        known = choice.regions(writer)
        judge_windows(writer, windows, start, sensors_to_judge(writer, known), regions_hash(known))
    with step("score") as writer:
        list(score_windows(writer, windows, start, given["detector"].parameters))
        thin_states(writer, start, given["detector"].states_kept)
    with step("select anomalies") as writer:
        select_anomalies(writer, windows, given["thresholds"].thresholds)
    for name, rules in RULE_SETS.items():
        with step(f"classify, {name} rules") as writer:
            classify_windows(writer, windows, choice.regions(writer), rules=rules)
    store.publish()
    return steps


@click.command()
@click.option("--sensors", default=30_000, show_default=True, help="Sensors that send a message every two minutes.")
def main(sensors: int) -> None:
    """Measure one window of very many sensors."""
    set_range(generator.START, generator.START)
    with filled_topic(messages(sensors)) as (servers, count):
        figures = measure("one_window", servers)
    show(
        f"{count:,} messages of {sensors:,} sensors in one window, which hold {figures['anomalies']:,} anomalies: "
        f"peak {figures['memory'] / 1e6:,.0f} MB",
        figures["steps"],
        ["step", "time, s", "processor, s", "peak so far, MB"],
        ["", ".1f", ".1f", ",.0f"],
    )


if __name__ == "__main__":
    main()
