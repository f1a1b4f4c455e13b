"""What the pipeline makes of messages is what another reader finds in the same bytes, which shares no code with it."""

from random import Random

import pytest

from aqi_dagster.pipeline.decoding.decode import decode
from tests.support.messages import ALLOWANCE, NOW, chunk
from tests.support.slow_messages import slow_reading
from tests.support.spoiled_messages import spoiled

COLUMNS = (
    *("sensor", "created_at", "pm25_cf1", "entry_id", "pm1_cf1", "pm10_cf1", "pm25_atm", "pm25_cf1_b", "temperature"),
    *("humidity", "rssi", "uptime", "sensor_index", "sensor_name", "location_type"),
)


def compare(seed: int, count: int) -> int:
    """Decode ``count`` spoilt messages and read them slowly; the number of readings, which must be the same."""
    random = Random(seed)  # noqa: S311 (no secret)
    messages = [spoiled(random) for _ in range(count)]
    decoded = decode(chunk(messages), NOW, ALLOWANCE)
    found = {row["kafka_offset"]: row for row in decoded.readings.to_pylist()}
    emptied: dict[str, int] = {}
    for number, (key, value) in enumerate(messages):
        expected = slow_reading(key, value, NOW + ALLOWANCE)
        row = found.get(number)
        assert (row is None) == (expected is None), (key, value)
        if row is not None and expected is not None:
            # As text, in which 0.0 and -0.0 differ.
            assert repr([row[name] for name in COLUMNS]) == repr([expected[name] for name in COLUMNS]), (key, value)
            for field in expected["emptied"]:
                emptied[field] = emptied.get(field, 0) + 1
    assert decoded.emptied == emptied
    assert decoded.rejected.num_rows + decoded.readings.num_rows == count
    return len(found)


def test_spoilt_messages_are_read_as_another_reader_reads_them() -> None:
    assert 2_000 < compare(1, 5_000) < 4_000


@pytest.mark.long
@pytest.mark.parametrize("seed", range(25))
def test_a_quarter_of_a_million_spoilt_messages_are_read_as_another_reader_reads_them(seed: int) -> None:
    assert 4_000 < compare(100 + seed, 10_000) < 8_000
