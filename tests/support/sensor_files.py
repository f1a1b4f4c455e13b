"""Files as PurpleAir and its sensors write them, with readings of a test's own, and what is read of them."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aqi_dagster.feeds.feed import Feed, opened_feed
from aqi_dagster.feeds.summary import faults, summary_lines
from tests.support.messages import NOW

COLUMNS = (
    *("created_at", "entry_id", "PM1.0_CF1_ug/m3", "PM2.5_CF1_ug/m3", "PM10.0_CF1_ug/m3", "UptimeMinutes", "RSSI_dbm"),
    *("Temperature_F", "Humidity_%", "PM2.5_ATM_ug/m3"),
)
SECOND_COLUMNS = (*COLUMNS[:6], "ADC", "Pressure_hpa", "IAQ", COLUMNS[9])
OLD_COLUMNS = (
    *("created_at", "entry_id", "PM1.0_CF_ATM_ug/m3", "PM2.5_CF_ATM_ug/m3", "PM10.0_CF_ATM_ug/m3", *COLUMNS[5:9]),
    "PM2.5_CF_1_ug/m3",
)
BEGIN = datetime(2022, 7, 18, 6)  # noqa: DTZ001 (naive UTC)
PERIOD = "Primary Real Time 07_18_2022 07_19_2022.csv"


def name(device: str = "Alder", place: str = "45.5 -122.6", kind: str = "(outside)", period: str = PERIOD) -> str:
    """The name of a classic download."""
    return f"{device} {kind} ({place}) {period}"


def times(count: int, begin: datetime = BEGIN, step: timedelta = timedelta(minutes=2)) -> list[str]:
    """``count`` times as a classic download has them."""
    return [f"{begin + number * step} UTC" for number in range(count)]


def classic(pm25: Sequence[object], when: Sequence[str] | None = None, columns: Sequence[str] = COLUMNS) -> str:
    """A classic download with these readings of PM2.5."""
    lines = [",".join(columns) + ","]
    for number, (value, time) in enumerate(zip(pm25, when or times(len(pm25)), strict=True)):
        lines.append(f"{time},{number},1.5,{value},9.5,{number},-60,75,40,{value},")
    return "\n".join(lines) + "\n"


def write(path: Path, text: str | bytes) -> Path:
    """Write a file, packed if its name ends in .gz."""
    data = text if isinstance(text, bytes) else text.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def sensor_list(path: Path, rows: Iterable[str], header: str = "index,latitude,longitude,name") -> Path:
    """Write a list of sensors."""
    return write(path, "\n".join([header, *rows]) + "\n")


Read = tuple[str, dict[str, Any]]
"""Key and value of a message, decoded."""


@contextmanager
def feed_of(*paths: Path, sensors: Sequence[Path] = (), newest: datetime = NOW) -> Iterator[Feed]:
    """The feed of ``paths``."""
    with opened_feed(paths, newest, sensors) as feed:
        yield feed


def messages(feed: Feed) -> list[Read]:
    """The messages of ``feed``, decoded."""
    return [(json.loads(message.key), json.loads(message.value)) for message in feed.messages()]


def read(*paths: Path, sensors: Sequence[Path] = ()) -> list[Read]:
    """The messages of ``paths``, of which nothing may be wrong."""
    with feed_of(*paths, sensors=sensors) as feed:
        assert faults(feed) == []
        return messages(feed)


def summary_of(*paths: Path, sensors: Sequence[Path] = ()) -> tuple[str, list[str]]:
    """What is said of ``paths``, and what is wrong with them."""
    with feed_of(*paths, sensors=sensors) as feed:
        return "\n".join(summary_lines(feed)), faults(feed)


def column(found: Iterable[Read], field: str) -> list[Any]:
    """One field of messages."""
    return [value.get(field) for _, value in found]


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A value without what it says of its sensor."""
    return {name: text for name, text in value.items() if name not in ("sensor_name", "location_type", "sensor_index")}
