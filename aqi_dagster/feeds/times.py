"""Times as files write them, as the topic has them: ``2022-07-18 00:00:00 UTC``."""

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta

from aqi_dagster.pipeline.decoding.definition import TIME_FORMAT

_ISO = re.compile(
    r"(\d{4})[-/](\d{2})[-/](\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.0+)?(?: ?UTC|[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))",
    re.ASCII,
)
_SECONDS = re.compile(r"(\d{10})(?:\.0*)?", re.ASCII)
"""From 2001 to 2286: fewer digits may be a date, and more of them milliseconds."""


def canonical_time(text: str) -> str | None:
    """The moment that ``text`` names beyond doubt, as the topic has it; None if it names none.

    ISO 8601 with a time zone, with slashes too, as PurpleAir's sensors have it; or whole seconds since 1970.

    >>> [canonical_time(text) for text in ("2024/06/01T12:00:00z", "1717243200", "2024-06-01T14:00:00+02:00")]
    ['2024-06-01 12:00:00 UTC', '2024-06-01 12:00:00 UTC', '2024-06-01 12:00:00 UTC']
    """
    text = text.strip()
    try:
        seconds = _SECONDS.fullmatch(text)
        if seconds:
            return _written(datetime.fromtimestamp(int(seconds[1]), UTC))
        match = _ISO.fullmatch(text)
        if match is None:
            return None
        moment = datetime(*map(int, match.group(1, 2, 3, 4, 5, 6)))  # type: ignore[arg-type]  # noqa: DTZ001 (naive UTC)
        if match[7]:
            ahead = timedelta(hours=int(match[8]), minutes=int(match[9]))
            moment -= ahead if match[7] == "+" else -ahead
        return _written(moment)
    except (ValueError, OverflowError, OSError):
        return None


def seconds_of(text: str) -> int | None:
    """Seconds from 1970 to the moment that ``text`` names; None if it names none."""
    time = canonical_time(text)
    return None if time is None else timegm(datetime.strptime(time, TIME_FORMAT).timetuple())  # noqa: DTZ007 (UTC)


def _written(moment: datetime) -> str:
    # Not by strftime, which leaves out the zeros of years before 1000.
    return f"{moment.replace(tzinfo=None).isoformat(' ')} UTC"
