"""The plain loop that a user would write by hand: poll, parse, score, gather, classify. It keeps nothing."""

import json
from collections import defaultdict
from datetime import datetime

from confluent_kafka import Consumer, KafkaError, TopicPartition
from river.anomaly import HalfSpaceTrees
from scipy.stats import variation


def run(servers: str, topic: str) -> dict[str, int]:
    """Classify every window of the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    partitions = list(consumer.list_topics(topic).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    detectors: dict[str, HalfSpaceTrees] = {}
    windows = defaultdict(list)
    count, ended = 0, 0
    while ended < len(partitions):
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error() is not None:
            ended += message.error().code() == KafkaError._PARTITION_EOF
            continue
        sensor = json.loads(message.key())
        reading = json.loads(message.value())
        created_at = datetime.strptime(reading["created_at"], "%Y-%m-%d %H:%M:%S UTC")
        features = {"x": float(reading["PM2.5_CF1_ug/m3"])}
        if sensor not in detectors:
            detectors[sensor] = HalfSpaceTrees(
                n_trees=4, height=3, window_size=50, seed=11, limits={"x": (0.0, 1200.0)}
            )
        score = detectors[sensor].score_one(features)
        detectors[sensor].learn_one(features)
        if score > 0.7 and features["x"] > 50:
            windows[(created_at.date(), created_at.hour // 12)].append((sensor, features["x"]))
        count += 1
    consumer.close()
    smoke = 0
    for anomalies in windows.values():
        values = [value for _, value in anomalies]
        lone = len({sensor for sensor, _ in anomalies}) < 2
        smoke += not (lone and (len(values) < 10 or variation(values) > 0.3))
    return {
        "messages": count,
        "anomalies": sum(map(len, windows.values())),
        "windows": len(windows),
        "smoke": smoke,
    }
