"""Whether the feeds of the topic are alive: a check that no run evaluates, since a feed that died starts none.

The sensor ``watched_feeds`` reports it, whenever it changes and every hour.
"""

import time
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from aqi_dagster.assets.sensor_data import sensor_data
from aqi_dagster.errors import FeedError
from aqi_dagster.polling.liveness import FeedState
from aqi_dagster.resources.feeds import FeedsResource

NO_FEED = "No feed of this pipeline fills the topic: others do."


@dg.asset_check(
    asset=sensor_data.key,
    description=(
        "Every feed that AQI_FEED names runs and gets new readings, and Kafka takes them; no sensor of it fell silent. "
        "The sensor `watched_feeds` keeps this up to date."
    ),
)
def feed_is_alive(feeds: FeedsResource) -> dg.AssetCheckResult:
    """Judge the feeds by what they have noted."""
    return judged(feeds, time.time())


def judged(feeds: FeedsResource, now: float) -> dg.AssetCheckResult:
    """How the feeds are at a moment, in seconds since 1970."""
    try:
        states, of_history, problems = feeds.states(now), feeds.history_points(now), []
    except FeedError as error:
        states, of_history, problems = [], 0, [str(error)]
    ran = {state.kind for state in states}
    problems += [f"{kind}: AQI_FEED names it, but it never ran" for kind in feeds.named if kind not in ran]
    problems += [f"{state.kind}: {problem}" for state in states for problem in state.problems(now)]
    well = "; ".join(map(_in_words, states)) or NO_FEED
    metadata: dict[str, Any] = {"history_points_today": of_history} if of_history else {}
    for state in states:
        metadata |= _metadata(state)
    return dg.AssetCheckResult(
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{'; '.join(problems)}." if problems else well,
        metadata=metadata,
    )


def _in_words(state: FeedState) -> str:
    points = "" if state.points is None else f", {state.points:,} of {state.points_a_day:,} points today"
    return f"{state.kind}: {state.sensors:,} sensors, newest reading {_moment(state.newest_reading)}{points}"


def _metadata(state: FeedState) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{state.kind}_newest_reading": dg.MetadataValue.timestamp(state.newest_reading),
        f"{state.kind}_sensors": state.sensors,
        f"{state.kind}_silent_sensors": len(state.silent),
        f"{state.kind}_waiting_messages": state.waiting,
    }
    if state.points is not None:
        found |= {f"{state.kind}_points_today": state.points, f"{state.kind}_points_a_day": state.points_a_day}
    if state.silent:
        last = {sensor: _moment(seen) for sensor, seen in state.silent.items()}
        found[f"{state.kind}_silent"] = dg.MetadataValue.json(last)
    return found


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "none"
