"""Running contestants, each in a process of its own, and printing what they came to."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from tabulate import tabulate

from aqi_dagster.demo.broker import EmbeddedBroker
from aqi_dagster.feeds.messages import Message
from aqi_dagster.feeds.producer import create_topic, produce
from aqi_dagster.progress import on_terminal
from aqi_dagster.windows import window_key, window_start

TOPIC = "bench"

Figures = dict[str, Any]


@contextmanager
def filled_topic(source: Iterator[Message]) -> Iterator[tuple[str, int]]:
    """A broker's address and the number of messages in its topic, which has four partitions."""
    with EmbeddedBroker() as broker:
        config = {"bootstrap.servers": broker.bootstrap_servers}
        create_topic(config, TOPIC, 4)
        with on_terminal() as progress:
            count = produce(config, TOPIC, source, progress)
        yield broker.bootstrap_servers, count


def set_range(first: datetime, last: datetime) -> None:
    """Have contestants run the windows from that of ``first`` to that of ``last``."""
    os.environ["AQI_FIRST_WINDOW"] = window_key(window_start(first))
    os.environ["BENCH_LAST_WINDOW"] = window_key(window_start(last))


def measure(name: str, servers: str, *arguments: object) -> Figures:
    """Run one contestant; its own figures with the time (s) and peak memory (bytes) of its whole process."""
    started = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.contestant", name, servers, TOPIC, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - started
    if status:
        raise click.ClickException(f"{name} failed with status {os.waitstatus_to_exitcode(status)}")
    figures: Figures = json.loads(output.splitlines()[-1])
    return figures | {"elapsed": elapsed, "memory": usage.ru_maxrss * 1024}


def in_turn(names: Sequence[str], servers: str, repeat: int) -> dict[str, list[Figures]]:
    """``repeat`` runs of each contestant, one after the other and then from the beginning."""
    runs: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(repeat):
        for name in names:
            runs[name].append(measure(name, servers))
    return runs


def median(runs: Sequence[Figures], figure: str) -> float:
    """Median of one figure over several runs."""
    return statistics.median(run[figure] for run in runs)


def show(title: str, rows: Sequence[Sequence[Any]], headers: Sequence[str], formats: Sequence[str]) -> None:
    """Print a table."""
    click.echo(f"\n{title}\n")
    click.echo(tabulate(rows, headers, floatfmt=formats))
