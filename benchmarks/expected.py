"""The complete set of windows in messages that are in order of time, by plain River: what has to be found."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aqi_dagster.feeds.messages import Message
from aqi_dagster.pipeline.decoding.definition import decode_key, decode_value
from aqi_dagster.pipeline.detection.anomalies import Thresholds
from aqi_dagster.pipeline.detection.detectors import DetectorParameters, new_detector, score_and_learn
from aqi_dagster.pipeline.verdicts.anomaly_summary import Anomaly, AnomalySummary
from aqi_dagster.pipeline.verdicts.classify_windows import judge_regions
from aqi_dagster.settings import load_settings
from aqi_dagster.windows import utc_now, window_start


def expected_windows(messages: Iterable[Message]) -> list[list[Any]]:
    """Start, sensors, anomalies, greatest PM2.5 and verdict of each window with an anomaly."""
    series: dict[str, dict[datetime, float]] = defaultdict(dict)
    settings, now = load_settings(), utc_now()
    for message in messages:
        reading = decode_value(message.value, now, settings.digest_after)
        series[decode_key(message.key)].setdefault(reading.created_at, reading.pm25_cf1)
    limits = Thresholds()
    anomalies = defaultdict(list)
    for sensor, values in series.items():
        in_order = sorted(values.items())
        scores = score_and_learn(new_detector(DetectorParameters()), [pm25 for _, pm25 in in_order])
        for (moment, pm25), score in zip(in_order, scores, strict=True):
            if score > limits.score and pm25 > limits.pm25:
                anomalies[window_start(moment)].append(Anomaly(sensor, moment, pm25))
    return [
        [str(start), window.sensors, window.count_anomalies, window.max_pm25, window.verdict]
        for start, found in sorted(anomalies.items())
        for window in judge_regions(start, {settings.region: AnomalySummary.of(found)})
    ]
