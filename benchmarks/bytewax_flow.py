"""The streaming notebook's dataflow on bytewax, one worker, reading the topic from its beginning to its end.

It drops what it takes for late: it reads the partitions at different speeds and waits 12 hours of event time.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from river.anomaly import HalfSpaceTrees
from scipy.stats import variation

REGION = "Lake Tahoe"


class _Found(DynamicSink[Any], StatelessSinkPartition[Any]):
    """Keeps what the dataflow puts out."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_Found":
        return self

    def write_batch(self, items: list[Any]) -> None:
        self.items += items


class _Count:
    """Messages that came by."""

    def __init__(self) -> None:
        self.messages = 0

    def deserialize(self, message: Any) -> tuple[str, dict[str, Any]]:
        """Key and fields of a message."""
        self.messages += 1
        data = json.loads(message.value)
        data["pm25"] = float(data["PM2.5_CF1_ug/m3"])
        data["created_at"] = datetime.strptime(data["created_at"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        return json.loads(message.key), data


def _score(detector: HalfSpaceTrees | None, data: dict[str, Any]) -> tuple[HalfSpaceTrees, dict[str, Any]]:
    if detector is None:
        detector = HalfSpaceTrees(n_trees=4, height=3, window_size=50, seed=11, limits={"x": (0.0, 1200.0)})
    data["score"] = detector.score_one({"x": data["pm25"]})
    detector.learn_one({"x": data["pm25"]})
    return detector, data


def _add(held: list[tuple[str, float]], data: dict[str, Any]) -> list[tuple[str, float]]:
    return [*held, (data["sensor"], data["pm25"])]


def _is_smoke(anomalies: list[tuple[str, float]]) -> bool:
    values = [value for _, value in anomalies]
    lone = len({sensor for sensor, _ in anomalies}) < 2
    return not (lone and (len(values) < 10 or variation(values) > 0.3))


def run(servers: str, topic: str) -> dict[str, int]:
    """Classify the windows of the topic."""
    count, found = _Count(), _Found()
    flow = Dataflow("air_quality")
    source = kafka.input("kafka", flow, brokers=[servers], topics=[topic], tail=False, batch_size=10_000)
    readings = op.map("deserialize", source.oks, count.deserialize)
    scored = op.stateful_map("score", readings, _score)
    anomalies = op.filter("filter", scored, lambda item: item[1]["score"] > 0.7 and item[1]["pm25"] > 50)
    by_region = op.map("region", anomalies, lambda item: (REGION, item[1] | {"sensor": item[0]}))
    windows = windowing.fold_window(
        "window",
        by_region,
        windowing.EventClock(lambda data: data["created_at"], wait_for_system_duration=timedelta(hours=12)),
        windowing.TumblingWindower(length=timedelta(hours=12), align_to=datetime(2022, 7, 18, tzinfo=UTC)),
        list,
        _add,
        lambda one, other: one + other,
    )
    op.output("output", windows.down, found)
    run_main(flow)
    held = [anomalies for _, (_, anomalies) in found.items]
    return {
        "messages": count.messages,
        "anomalies": sum(map(len, held)),
        "windows": len(held),
        "smoke": sum(map(_is_smoke, held)),
    }
