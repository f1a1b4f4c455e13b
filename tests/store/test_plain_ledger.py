"""What is outdated and what is due, once more in plain Python, on ledgers with a few random flaws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import pyarrow as pa
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import OutdatedAnomaliesError, UnjudgedWindowsError
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.outdated import (
    OutdatedHealth,
    OutdatedScores,
    OutdatedVerdicts,
    UnscoredReadings,
    outdated_health,
    outdated_scores,
    outdated_verdicts,
    unscored_readings,
)
from aqi_dagster.pipeline.store.requirements import require_judged, require_selected
from aqi_dagster.pipeline.store.sql import registered
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange
from tests.support.messages import FIRST_WINDOW

LEDGERS = 120

COUNT = 60
"""Windows of a ledger: more than the 42 of 21 days, so that some lie before these."""

LOOK_BACK, HISTORY = timedelta(days=21), timedelta(days=14)

HASH = "now"


@dataclass(frozen=True)
class Row:
    """A window of the ledger; as it stands here, all of it is done."""

    window_start: datetime
    readings: int = 2
    scored: int | None = 2
    revision: int | None = 2
    parameters_hash: str | None = HASH
    selected: int | None = 2
    classified: int | None = 2
    chain_start: datetime | None = None
    selection_hash: str | None = HASH
    verdicts_hash: str | None = HASH
    health_readings: int | None = 2
    health_revision: int | None = 2
    health_hash: str | None = HASH
    health_since: datetime | None = None
    classified_health: int | None = 2


FLAWS = {
    "readings": [0, 1, 3],
    "scored": [None, 0, 1, 3],
    "revision": [None, 1, 3],
    "parameters_hash": [None, "before"],
    "selected": [None, 1, 3],
    "classified": [None, 1, 3],
    "chain_start": [None, FIRST_WINDOW, FIRST_WINDOW + 9 * WINDOW_LENGTH],
    "selection_hash": [None, "before"],
    "verdicts_hash": [None, "before"],
    "health_readings": [None, 0, 1, 3],
    "health_revision": [None, 1, 3],
    "health_hash": [None, "before"],
    "health_since": [None, FIRST_WINDOW],
    "classified_health": [None, 1, 3],
}
"""What a window may hold instead, column by column."""

TOGETHER = [
    (0, "parameters_hash", "before"),
    (1, "parameters_hash", "before"),
    (0, "readings", 0),
    (0, "readings", 1),
    (1, "classified", 1),
    (0, "selected", 1),
    (1, "selected", 1),
]
"""How many readings of a window were scored, and what else may be wrong with it."""


def start_of(number: int) -> datetime:
    return FIRST_WINDOW + number * WINDOW_LENGTH


def ledger(random: Random, first: int) -> list[Row]:
    """Windows of which all is done from ``first`` on, some left out, with a few flaws: mostly where a rule changes."""
    nothing = {name: None for name in FLAWS if name != "readings"}
    rows = []
    for number in range(COUNT):
        since = max(start_of(first), start_of(number) - LOOK_BACK)
        row = Row(start_of(number), chain_start=start_of(first), health_since=since)
        rows.append(row if number >= first else replace(row, **nothing))
    borders = [*range(first - 2, first + 3), *range(COUNT - 44, COUNT - 40), COUNT - 2, COUNT - 1]
    for _ in range(random.choice([0, 1, 1, 2, 3])):
        place = random.choice([random.choice(borders), random.randrange(COUNT)]) % COUNT
        # Also two flaws of one window: some rules ask for both.
        for name in random.sample([*FLAWS], random.choice([1, 1, 2])):
            rows[place] = replace(rows[place], **{name: random.choice(FLAWS[name])})
    for scored, name, flaw in random.sample(TOGETHER, random.choice([0, 1])):
        place = random.randrange(first, COUNT - 2)
        rows[place] = replace(rows[place], **{"scored": scored, name: flaw})
    if random.random() < 0.4:
        # Two windows, about as far apart as health looks back.
        later = random.choice([random.randrange(30, COUNT), random.randrange(COUNT - 46, COUNT - 40)])
        apart = random.choice([27, 28, 29, 41, 42, 43])
        name, flaw = random.choice([("health_readings", None), ("health_revision", 3), ("health_revision", 1)])
        for place in {later, max(0, later - apart)} if flaw is None else {max(0, later - apart)}:
            rows[place] = replace(rows[place], **{name: flaw})
    if random.random() < 0.2:
        cut = random.choice([first - 1, first, first + 1, COUNT - 3])
        rows = [row if row.window_start <= start_of(cut) else replace(row, **nothing) for row in rows]
    if random.random() < 0.05:
        return []
    if random.random() < 0.05:
        # All that was ever scored lies before the first window.
        rows = [replace(row, scored=2, health_readings=2) for row in rows[:first]]
    return [row for row in rows if random.random() > 0.03]


def write(connection: DuckDBPyConnection, rows: Sequence[Row]) -> None:
    """Have the ledger hold ``rows``."""
    connection.execute("DELETE FROM windows")
    if not rows:
        return
    with registered(connection, "ledger", pa.Table.from_pylist([vars(row) for row in rows])):
        connection.execute("INSERT INTO windows BY NAME FROM ledger")


def plain_scores(rows: list[Row], first: datetime) -> OutdatedScores:
    before = [row for row in rows if row.window_start < first and row.scored is not None]
    scored = [row.window_start for row in rows if row.scored]
    if not scored or (max(scored) < first and not before):
        return OutdatedScores(0, 0, None)
    last, newest = max(*scored, first), 0
    late = stale = unscored = other = 0
    flawed = [first] if before else []
    for row in [row for row in rows if first <= row.window_start <= last]:
        newest = max(newest, row.revision or 0)
        is_late = max(0, row.readings - row.scored) if row.scored else 0
        is_unscored = 0 if row.scored else row.readings
        is_stale = row.revision is not None and row.revision < newest
        is_early = row.chain_start is not None and row.chain_start < first
        is_other = bool(row.scored) and (is_early or row.parameters_hash not in (None, HASH))
        late, stale, unscored, other = late + is_late, stale + is_stale, unscored + is_unscored, other + is_other
        flawed += [row.window_start] if is_late or is_unscored or is_stale or is_other else []
    return OutdatedScores(
        late, stale, WindowRange(min(flawed), last) if flawed else None, unscored, other + len(before)
    )


def plain_health(rows: list[Row], first: datetime) -> OutdatedHealth:
    before = [row for row in rows if row.window_start < first and row.health_readings is not None]
    reached = [row.window_start for row in rows if row.readings and (row.scored or row.health_readings)]
    if not reached or (max(reached) < first and not before):
        return OutdatedHealth(0, 0, 0, None)
    last = max(*reached, first)
    looked_at = [row for row in rows if row.readings and first <= row.window_start <= last]
    unjudged = stale = other = 0
    flawed = [first] if before else []
    for row in looked_at:
        earlier = [o for o in looked_at if row.window_start - LOOK_BACK <= o.window_start <= row.window_start]
        newest = max(o.health_revision or 0 for o in earlier)
        is_unjudged = row.health_readings is None or (
            row.health_since not in (None, max(first, row.window_start - LOOK_BACK))
        )
        is_stale = row.health_readings not in (None, row.readings) or (
            row.health_revision is not None and row.health_revision < newest
        )
        is_other = row.health_hash not in (None, HASH)
        unjudged, stale, other = unjudged + is_unjudged, stale + is_stale, other + is_other
        flawed += [row.window_start] if is_unjudged or is_stale or is_other else []
    return OutdatedHealth(unjudged, stale, other + len(before), WindowRange(min(flawed), last) if flawed else None)


def plain_verdicts(rows: list[Row], first: datetime) -> OutdatedVerdicts:
    scored = [row for row in rows if row.window_start >= first and row.scored]
    behind = [r for r in scored if (r.classified, r.classified_health) != (r.revision, r.health_revision)]
    other = [r for r in scored if r not in behind and not {r.selection_hash, r.verdicts_hash} <= {None, HASH}]
    starts = sorted(row.window_start for row in behind + other)
    return OutdatedVerdicts(len(behind), WindowRange(starts[0], starts[-1]) if starts else None, len(other))


def plain_unscored(rows: list[Row], windows: WindowRange) -> UnscoredReadings | None:
    unscored = [row for row in rows if row.readings and not row.scored and row.window_start in windows]
    if not unscored:
        return None
    starts = [row.window_start for row in unscored]
    return UnscoredReadings(sum(row.readings for row in unscored), WindowRange(min(starts), max(starts)))


def plain_required(rows: list[Row], windows: WindowRange) -> list[WindowRange | None]:
    """The ranges whose anomalies are to be selected anew, and whose health is to be judged, before verdicts follow."""
    rows = [row for row in rows if row.window_start in windows]
    outdated = [row for row in rows if row.selected != row.revision or row.selection_hash not in (None, HASH)]
    unselected = [row.window_start for row in outdated if row.scored]
    unjudged = [row.window_start for row in rows if row.readings and row.health_readings is None]
    return [WindowRange(min(found), max(found)) if found else None for found in (unselected, unjudged)]


def required(connection: DuckDBPyConnection, windows: WindowRange) -> list[WindowRange | None]:
    """The ranges that the errors name."""
    found: list[WindowRange | None] = [None, None]
    try:
        require_selected(connection, windows, HASH)
    except OutdatedAnomaliesError as error:
        found[0] = error.windows
    try:
        require_judged(connection, windows)
    except UnjudgedWindowsError as error:
        found[1] = error.windows
    return found


def plain_due(rows: list[Row], ended: WindowRange) -> WindowRange:
    """The one range that is due, of fewer windows than one run takes."""
    rows = [row for row in rows if row.window_start in ended]
    scored = [row.window_start for row in rows if row.scored is not None]
    if not scored:
        return ended
    recent = ended.last - LOOK_BACK
    unjudged = [row.window_start for row in rows if row.readings and row.health_readings is None]
    lacking = [ended.last - WINDOW_LENGTH, max(scored) + WINDOW_LENGTH, *(s for s in unjudged if s >= recent)]
    lacking += [recent for s in unjudged for o in unjudged if s >= recent >= o >= s - HISTORY]
    for row in rows:
        is_behind = bool(row.scored) and None not in (row.classified, row.revision) and row.classified != row.revision
        if (
            (row.readings and not row.scored)
            or (row.scored is not None and row.classified is None)
            or is_behind
            or row.classified_health != row.health_revision
        ):
            lacking.append(row.window_start)
    return WindowRange(max(min(lacking), ended.first), ended.last)


def test_what_the_ledger_says_is_what_plain_python_says(connection: DuckDBPyConnection) -> None:
    flawed = 0
    for seed in range(LEDGERS):
        random = Random(seed)  # noqa: S311 (no secret)
        number = random.choice([0, 5, 16, 20])
        rows, first = ledger(random, number), start_of(number)
        write(connection, rows)
        scores = outdated_scores(connection, first, HASH)
        assert scores == plain_scores(rows, first), seed
        assert outdated_health(connection, first, HASH) == plain_health(rows, first), seed
        assert outdated_verdicts(connection, first, HASH, HASH) == plain_verdicts(rows, first), seed
        some = WindowRange(first, start_of(COUNT - 1 - random.randrange(3)))
        assert unscored_readings(connection, some) == plain_unscored(rows, some), seed
        assert required(connection, some) == plain_required(rows, some), seed
        assert due_ranges(connection, some) == [plain_due(rows, some)], seed
        flawed += scores.windows is not None
    assert LEDGERS / 5 < flawed < LEDGERS
