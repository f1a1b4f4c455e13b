"""``python -m benchmarks``: fill a topic on the embedded broker, then let each contestant read it, in turn, repeatedly.

Each run is a process of its own; its time is wall time of the whole process, its memory the peak of its resident set.
What counts are the ratios within one call: absolute times differ from machine to machine and hour to hour.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
from tabulate import tabulate

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.input_files import Message, read_file
from aqi_dagster.pipeline.messages import TIME_FORMAT
from aqi_dagster.producer import create_topic, delivery_bar, produce
from aqi_dagster.windows import window_key, window_start
from benchmarks import generator

TOPIC = "bench"

CONTESTANTS = {
    "pipeline": "this pipeline, through Dagster",
    "pipeline_sqlite": "the same, Dagster's events in SQLite",
    "hand_written_loop": "consumer-and-River loop by hand",
    "consume_only": "confluent-kafka, only reading",
}


@click.command()
@click.option("--messages", default=1_000_000, show_default=True, help="Messages to generate.")
@click.option("--sensors", default=200, show_default=True, help="Sensors that send them.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="Send the messages of this file instead.")
@click.option("--repeat", default=3, show_default=True, help="Runs of each contestant; the medians are shown.")
def main(messages: int, sensors: int, file: Path | None, repeat: int) -> None:
    """Measure the pipeline against other ways to do the same."""
    with EmbeddedBroker() as broker:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        create_topic(config, TOPIC, 4)
        first, last = generator.START, generator.START + -(-messages // sensors) * generator.CADENCE
        source: Iterator[Message] = generator.messages(messages, sensors)
        if file is not None:
            times = sorted(json.loads(message.value)["created_at"] for message in read_file(file))
            first, last = (window_start(datetime.strptime(text, TIME_FORMAT)) for text in (times[0], times[-1]))
            source = read_file(file)
        with delivery_bar("messages") as delivered:
            count = produce(config, TOPIC, source, delivered)
        os.environ["AQI_FIRST_WINDOW"] = window_key(window_start(first))
        os.environ["BENCH_LAST_WINDOW"] = window_key(window_start(last))
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
        for _ in range(repeat):
            for name in CONTESTANTS:
                runs[name].append(_measure(name, broker.bootstrap_servers))
    _print(runs, count)


def _measure(name: str, servers: str) -> dict[str, float]:
    """Run one contestant in a process of its own; its own figures with its time (s) and peak memory (bytes)."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.contestant", name, servers, TOPIC], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - started
    if status:
        raise click.ClickException(f"{name} failed with status {os.waitstatus_to_exitcode(status)}")
    return json.loads(output.splitlines()[-1]) | {"elapsed": elapsed, "memory": usage.ru_maxrss * 1024}


def _print(runs: dict[str, list[dict[str, float]]], count: int) -> None:
    """The table of medians; the ratios are taken run by run and leave imports aside, which are shown apart."""
    rows = []
    for name, title in CONTESTANTS.items():
        if {run["messages"] for run in runs[name]} != {count}:
            raise click.ClickException(f"{name} did not read {count} messages: {runs[name]}")
        work = statistics.median(run["work"] for run in runs[name])
        rows.append(
            [
                title,
                work,
                statistics.median(
                    theirs["work"] / ours["work"] for theirs, ours in zip(runs[name], runs["pipeline"], strict=True)
                ),
                count / work,
                statistics.median(run["elapsed"] - run["work"] for run in runs[name]),
                max(run["memory"] for run in runs[name]) / 1e6,
                runs[name][-1].get("anomalies", ""),
            ]
        )
    headers = ["", "time, s", "time / ours", "messages/s", "start and imports, s", "peak MB", "anomalies"]
    click.echo(tabulate(rows, headers, floatfmt=("", ".2f", ".2f", ",.0f", ".2f", ",.0f", "")))


main()
