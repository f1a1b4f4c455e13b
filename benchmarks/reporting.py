"""What it costs to report progress: pulling and scoring with and without a log that is told, run by hand.

``python -m benchmarks.reporting`` prints medians and their ratio; the two take turns.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.readings.pull import PullPolicy, pull
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.topic.reader import TopicReader
from aqi_dagster.progress import Lines, Progress, unwatched, watched
from aqi_dagster.windows import WindowRange, window_start
from benchmarks import generator
from benchmarks.measuring import TOPIC, filled_topic

MESSAGES = 300_000

TURNS = 3


def measure(servers: str, progress: Progress) -> tuple[float, float]:
    """Processor seconds of a pull, and of scoring what it pulled, with ``progress``."""
    first = window_start(generator.START)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)).exclusive() as writer:
        began = time.process_time()
        pull(writer, TopicReader({"bootstrap.servers": servers}, TOPIC), PullPolicy(), progress)
        pulled = time.process_time()
        ((last,),) = writer.execute("SELECT max(window_start) FROM windows").fetchall()
        windows = WindowRange(first, last)
        scored = score_windows(writer, windows, first, DetectorParameters())
        list(watched(scored, "windows scored", len(windows), progress))
        return pulled - began, time.process_time() - pulled


def main() -> None:
    """Print what it comes to."""
    ways: dict[str, Callable[[], Progress]] = {"unwatched": lambda: unwatched, "watched": lambda: Lines(print)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with filled_topic(generator.messages(MESSAGES, generator.SENSORS)) as (servers, _):
        measure(servers, unwatched)
        for _ in range(TURNS):
            for name, progress in ways.items():
                found[name].append(measure(servers, progress()))
    for number, what in enumerate(("pull", "score")):
        medians = {name: statistics.median(times[number] for times in found[name]) for name in ways}
        ratio = medians["watched"] / medians["unwatched"]
        print(f"{what}: {medians['unwatched']:.2f} s unwatched, {medians['watched']:.2f} s watched, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
