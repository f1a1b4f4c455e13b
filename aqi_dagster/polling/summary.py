"""What a user is told of a feed before it begins."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from aqi_dagster.feeds.sensor_list import Sensor
from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.polling.budget import DAY_SECONDS
from aqi_dagster.polling.clock import in_words
from aqi_dagster.polling.history import Piece, Span
from aqi_dagster.polling.liveness import PURPLEAIR
from aqi_dagster.polling.local_feed import LocalFeed
from aqi_dagster.polling.prices import request_points
from aqi_dagster.polling.purpleair_feed import Options, PurpleAirFeed
from aqi_dagster.polling.rows import PLACE_FIELDS
from aqi_dagster.windows import WINDOW_LENGTH, utc_now, window_key, window_start

POINTS_OF_A_DOLLAR = 100_000
"""What PurpleAir sells for a dollar to those who buy least; the first million is free."""

PROBLEMS_NAMED = 5


def purpleair_lines(feed: PurpleAirFeed, options: Options) -> Iterator[str]:
    """How many sensors are asked, how often, and what that costs."""
    if not feed.rows:
        yield "No sensor of these is known yet. They are asked for every so often."
        return
    polls = DAY_SECONDS / feed.interval
    points = round(polls * feed.poll_points) + request_points(PLACE_FIELDS, feed.rows)
    yield (
        f"{counted(feed.rows, 'sensor')}, asked every {minutes(feed.interval)}: at most {points:,} points a day, about "
        f"${points / POINTS_OF_A_DOLLAR:.2f}; never more than {options.points_a_day:,} (--points-a-day)."
    )
    if feed.interval > options.interval:
        yield f"Asked every {minutes(options.interval)}, as wanted, they would cost more than that."
    yield f"Data from {PURPLEAIR.name} ({PURPLEAIR.address}): say so where you show them."


def local_lines(feed: LocalFeed) -> Iterator[str]:
    """How many sensors are asked, and how often."""
    yield f"{counted(len(feed.addresses), 'sensor')} on the local network, asked every {minutes(feed.interval)}."


def history_line(sensors: Sequence[Sensor], missing: Sequence[Piece], span: Span) -> str:
    """What a range of history costs."""
    points = sum(piece.points for piece in missing)
    between = f"{in_words(span[0])} to {in_words(span[1])}"
    if not sensors:
        return "There is no such sensor."
    if not missing:
        return f"{counted(len(sensors), 'sensor')}, {between}: all of it was filled before."
    requests = f"{counted(len(missing), 'request')} of at most {points:,} points"
    return f"{counted(len(sensors), 'sensor')}, {between}: {requests}, about ${points / POINTS_OF_A_DOLLAR:.2f}."


def history_end(problems: Sequence[str], span: Span) -> Iterator[str]:
    """What was wrong with the history, and how to come to verdicts."""
    for problem in problems[:PROBLEMS_NAMED]:
        yield f"Left out: {problem}"
    if len(problems) > PROBLEMS_NAMED:
        yield f"Left out: {len(problems) - PROBLEMS_NAMED:,} more."
    first, last = (window_start(datetime.fromtimestamp(at, UTC).replace(tzinfo=None)) for at in (span[0], span[1] - 1))
    ended = min(last, window_start(utc_now()) - WINDOW_LENGTH)
    if first <= ended:
        yield f"Windows of it: aqi-dagster materialize --from {window_key(first)} --to {window_key(ended)}"


def list_of_sensors(sensors: Iterable[Sensor]) -> str:
    """The list of sensors that ``produce --sensors`` and feeds read."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", "latitude", "longitude", "name", "location_type"])
    for sensor in sensors:
        latitude, longitude = sensor.place.split(", ")
        writer.writerow([sensor.index, latitude, longitude, sensor.name or "", sensor.location_type or ""])
    return text.getvalue()


def minutes(seconds: float) -> str:
    """A time in minutes.

    >>> minutes(600), minutes(1253)
    ('10 minutes', '20.9 minutes')
    """
    return f"{seconds / 60:.1f}".removesuffix(".0") + " minutes"
