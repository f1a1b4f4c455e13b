"""Three sensors that report every half hour of some windows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from aqi_dagster.partitions import FIRST_WINDOW
from aqi_dagster.windows import WINDOW_LENGTH, window_key
from tests.support.messages import RawMessage, message

SENSORS = ["45.1, -122", "45.2, -122", "45.3, -122"]


STARTS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(4)]


KEYS = [window_key(start) for start in STARTS]


SPOILT: RawMessage = (b'"45.1, -122"', b"{")


def readings(start: datetime, sensors: Sequence[str] = SENSORS, pm25: float | None = None) -> list[RawMessage]:
    """A reading every half hour of the window, all different unless ``pm25`` is given."""
    return [
        message(sensor, start + timedelta(minutes=30 * number), 5 + number / 10 if pm25 is None else pm25)
        for number in range(24)
        for sensor in sensors
    ]
