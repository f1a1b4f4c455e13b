"""Files of every kind, spoilt at random: what is sent is what another reader finds in the same bytes, or it is told.

The other reader shares no code with the pipeline. A file of which something as a whole is wrong is named; of every
other one exactly the readings are sent that are in it.
"""

import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aqi_dagster.feeds.summary import faults
from aqi_dagster.pipeline.decoding.definition import decode_key, decode_value
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from aqi_dagster.sensors import identity
from tests.support.messages import ALLOWANCE, NOW
from tests.support.sensor_files import feed_of, sensor_list, write
from tests.support.slow_messages import slow_reading
from tests.support.spoiled_files import PLACES, SpoiledFile, spoiled_file

COLUMNS = ("sensor", "created_at", "pm25_cf1", "pm25_cf1_b", "humidity", "temperature", "location_type")


def meant(file: SpoiledFile) -> Counter[str]:
    """The readings that the bytes of ``file`` hold."""
    try:
        read = [slow_reading(key, value, NOW + ALLOWANCE) for key, value in file.meaning()]
    except (ValueError, KeyError):
        return Counter()
    return Counter(repr([reading[name] for name in COLUMNS]) for reading in read if reading is not None)


def sent(path: Path, sensors: Path) -> tuple[Counter[str], list[str], int]:
    """The readings that would be sent, what is said to be wrong, and the number of messages that are no readings."""
    readings, others = Counter[str](), 0
    with feed_of(path, sensors=[sensors]) as feed:
        for key, value in feed.messages():
            try:
                place, reading = decode_key(key), decode_value(value, NOW, ALLOWANCE)
            except RejectedMessageError:
                others += 1
                continue
            row: dict[str, Any] = vars(reading) | reading.optional | {"sensor": identity(place, reading.sensor_index)}
            readings[repr([row[name] for name in COLUMNS])] += 1
        assert feed.counts.readings == readings.total()
        assert feed.counts.messages == readings.total() + others
        assert sum(feed.counts.reasons.values()) == others
        return readings, faults(feed), others


def is_of_the_whole_file(fault: str) -> bool:
    """Whether a fault is of more than one line."""
    return not re.search(r", line \d+: (?!the header|not JSON|is neither)|more line", fault)


def lines_named(fault: str) -> int:
    """How many lines a fault is of."""
    more = re.search(r": ([\d,]+) more lines? like", fault)
    return int(more[1].replace(",", "")) if more else 1


def compare(folder: Path, seed: int, count: int) -> Counter[str]:
    """Read ``count`` spoilt files both ways; how many were read whole, and how many named."""
    random = Random(seed)  # noqa: S311 (no secret)
    sensors = sensor_list(folder / "sensors.csv", [f"{index},{','.join(place)}," for index, place in PLACES.items()])
    outcome = Counter[str]()
    for number in range(count):
        file = spoiled_file(random)
        path = write(folder / (file.name + ".gz" * (random.random() < 0.1)), file.data)
        found, wrong, others = sent(path, sensors)
        expected = meant(file)
        where = (seed, number, file.name, file.data, wrong)
        assert not found - expected, where
        if expected - found:
            assert any(map(is_of_the_whole_file, wrong)), where
        if file.lines is not None and not any(map(is_of_the_whole_file, wrong)):
            assert found.total() + others + sum(map(lines_named, wrong)) == file.lines, where
        outcome["named" if wrong else "without fault"] += 1
        outcome["readings"] += found.total()
        path.unlink()
    return outcome


def test_spoilt_files_are_read_as_another_reader_reads_them(tmp_path: Path) -> None:
    outcome = compare(tmp_path, 1, 400)
    assert min(outcome["named"], outcome["without fault"]) > 100
    assert outcome["readings"] > 1_000


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(20))
def test_twenty_thousand_spoilt_files_are_read_as_another_reader_reads_them(tmp_path: Path, seed: int) -> None:
    assert compare(tmp_path, 1_000 + seed, 1_000)["readings"] > 2_500
