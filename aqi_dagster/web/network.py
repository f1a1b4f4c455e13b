"""The page Network: sensors by health, silent ones, how fresh the readings are, and rejected messages."""

from datetime import timedelta

from aqi_dagster.pipeline.numbers import counted
from aqi_dagster.web.sensors_now import STATES, sensors_now
from aqi_dagster.web.shown import Look, Shown

PAGE_LENGTH = 200

FAULTS = {
    "disagree": "Its two lasers disagree",
    "impossible": "Impossible values",
    "flat": "Counts small particles as often as large ones",
    "stuck": "Stuck at one value",
    "dead": "Reads nothing",
    "low": "Reads far too little",
    "high": "Reads far too much",
    "known": "Known to be broken",
}
"""What each fault means."""

_OFFSETS = """
SELECT topic, count(*) AS partitions, sum(messages)::BIGINT AS messages, max(updated_at) AS read_at
FROM kafka_offsets
WHERE topic_generation = (SELECT max(topic_generation) FROM kafka_offsets)
GROUP BY topic
"""

_REJECTED = """
SELECT
    reason,
    count(*) AS messages,
    count(*) FILTER (ingested_at > $since) AS within_30_days,
    max(ingested_at) AS newest
FROM rejected_messages
GROUP BY reason
ORDER BY messages DESC
LIMIT 50
"""

_WINDOWS = """
SELECT
    count(*) FILTER (classified IS NULL AND readings > 0) AS not_run,
    count(*) FILTER (scored < readings) AS with_late_readings,
    max(window_start) FILTER (classified IS NOT NULL) AS newest_judged
FROM windows
"""


def network(look: Look, state: str | None = None, page: int = 1) -> Shown:
    """The sensors of ``state`` (see :data:`STATES`), or all, a page at a time."""
    as_of = min(look.newest, look.times.now) if look.newest else look.times.now
    everything = sensors_now(look, as_of, taken_down=True)
    numbers = {name: sum(one["state"] == name for one in everything) for name in STATES}
    order = {name: place for place, name in enumerate(STATES)}
    sensors = sorted(
        (one for one in everything if state is None or one["state"] == state),
        key=lambda one: (order[one["state"]], one["name"]),
    )
    pages = max(-(-len(sensors) // PAGE_LENGTH), 1)
    page = min(page, pages)
    faults = {name: sum(one["fault"] == name for one in everything) for name in FAULTS}
    rejected = look.rows(_REJECTED, since=look.times.now - timedelta(days=30))
    windows = look.rows(_WINDOWS)[0]
    facts = {
        "as_of": as_of,
        "sensors": len(everything),
        "by_state": numbers,
        "newest_reading": look.newest,
        "pulls": look.rows(_OFFSETS),
        **windows,
    }
    return Shown(
        "Network",
        facts,
        {"sensors": sensors, "rejected_messages": rejected},
        context={
            "state": state,
            "states": STATES,
            "numbers": [(name, STATES[name], numbers[name]) for name in STATES],
            "faults": [(FAULTS[name], number) for name, number in faults.items() if number],
            "fault_names": FAULTS,
            "sensors_shown": sensors[(page - 1) * PAGE_LENGTH : page * PAGE_LENGTH],
            "page_number": page,
            "pages": pages,
            "total": counted(len(sensors), "sensor"),
        },
    )
