"""The synthetic summer as files to produce, and what ``aqi-dagster status`` says of the way they went."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from aqi_dagster.demo.summer import Summer
from aqi_dagster.feeds.messages import Message
from tests.support.messages import FIRST_WINDOW

SUMMER = Summer(FIRST_WINDOW)

DAYS = 6
"""First days of the summer that most tests use."""


def ndjson(file: Path, messages: Iterable[Message]) -> int:
    """Write ``messages`` as NDJSON and return their number."""
    lines = [
        json.dumps({"key": json.loads(message.key), "value": json.loads(message.value)}) + "\n" for message in messages
    ]
    with gzip.open(file, "wt") as target:
        target.writelines(lines)
    return len(lines)


def lags(status: str) -> list[int]:
    """The column "lag" of what ``aqi-dagster status`` prints."""
    lines = status.splitlines()
    (header,) = [number for number, line in enumerate(lines) if line.lstrip().startswith("partition ")]
    return [int(line.split()[2]) for line in lines[header + 2 :]]
