"""Thinning out detector states: what is kept is enough to score again, and what is not is said."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection

from aqi_dagster.errors import ThinnedStatesError, UnscoredWindowsError
from aqi_dagster.pipeline.detection import retention
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.retention import thin_states
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.pipeline.store.outdated import outdated_scores
from aqi_dagster.pipeline.store.window_ledger import record_health, record_selection, record_verdicts, thinned_before
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_start
from tests.support.messages import at, message, take_in
from tests.support.tables import rows

FIRST = at("2022-07-20T12:00")
"""A Wednesday: the first week is not whole."""

WINDOWS = [*WindowRange(FIRST, FIRST + timedelta(weeks=6))]

KEEP = timedelta(weeks=2)

MONDAYS = [at("2022-07-25") + week * timedelta(weeks=1) for week in range(6)]

PARAMETERS = DetectorParameters(window_size=5)


def bring(connection: DuckDBPyConnection) -> None:
    """A sensor that always reports, and one that reports on Tuesdays only."""
    moments = [start + timedelta(hours=hours) for start in WINDOWS for hours in range(0, 12, 3)]
    readings = [message("45.1, -122", moment, 20.0 + moment.hour) for moment in moments]
    readings += [message("45.2, -122", moment, 30.0) for moment in moments if moment.weekday() == 1]
    take_in(connection, readings)


def score(connection: DuckDBPyConnection, first: datetime, last: datetime) -> None:
    [*score_windows(connection, WindowRange(first, last), FIRST, PARAMETERS)]


def states(connection: DuckDBPyConnection) -> dict[tuple[str, datetime], bytes]:
    found = rows(connection, "SELECT sensor, window_start, state FROM detector_states")
    return {(sensor, start): state for sensor, start, state in found}


@pytest.fixture
def all_states(connection: DuckDBPyConnection) -> dict[tuple[str, datetime], bytes]:
    """The states of every window, before any was dropped."""
    bring(connection)
    score(connection, WINDOWS[0], WINDOWS[-1])
    return states(connection)


@pytest.mark.usefixtures("all_states")
def test_of_old_weeks_each_sensors_last_state_is_kept(connection: DuckDBPyConnection) -> None:
    dropped = thin_states(connection, FIRST, KEEP)
    horizon = MONDAYS[3]
    assert thinned_before(connection) == horizon
    left = states(connection)
    assert {start for sensor, start in left if sensor == "45.1, -122" and start < horizon} == {
        monday - WINDOW_LENGTH for monday in MONDAYS[:4]
    }
    assert {start for sensor, start in left if sensor == "45.2, -122" and start < horizon} == {
        monday - timedelta(days=5.5) for monday in MONDAYS[1:4]
    }
    assert {start for _, start in left if start >= horizon} == {start for start in WINDOWS if start >= horizon}
    assert dropped > 0
    assert thin_states(connection, WINDOWS[-1], KEEP) == 0


@pytest.mark.parametrize("first", [FIRST, MONDAYS[0], MONDAYS[2], MONDAYS[3], MONDAYS[3] + WINDOW_LENGTH])
def test_scoring_again_from_a_kept_state_gives_the_same(
    connection: DuckDBPyConnection, all_states: dict[tuple[str, datetime], bytes], first: datetime
) -> None:
    thin_states(connection, FIRST, KEEP)
    scores = rows(connection, "FROM scored_readings ORDER BY ALL")
    score(connection, first, WINDOWS[-1])
    assert rows(connection, "FROM scored_readings ORDER BY ALL") == scores
    found = states(connection)
    assert {key: state for key, state in all_states.items() if key[1] >= first}.items() <= found.items()
    thin_states(connection, first, KEEP)
    thinned = states(connection)
    score(connection, FIRST, WINDOWS[-1])
    assert states(connection) == all_states
    thin_states(connection, FIRST, KEEP)
    assert states(connection) == thinned


@pytest.mark.usefixtures("all_states")
def test_beginning_within_a_thinned_week_is_an_error_that_names_the_range(connection: DuckDBPyConnection) -> None:
    thin_states(connection, FIRST, KEEP)
    with pytest.raises(ThinnedStatesError, match="the range from 2022-07-25T00:00 to 2022-07-27T12:00"):
        score(connection, at("2022-07-27T12:00"), WINDOWS[-1])
    with pytest.raises(ThinnedStatesError, match="the range from 2022-07-20T12:00 to 2022-07-21T00:00"):
        score(connection, FIRST + WINDOW_LENGTH, WINDOWS[-1])


@pytest.mark.usefixtures("all_states")
def test_the_range_that_takes_in_a_late_reading_begins_where_it_can(connection: DuckDBPyConnection) -> None:
    thin_states(connection, FIRST, KEEP)
    late = at("2022-08-04T07:00")
    take_in(connection, [message("45.1, -122", late, 900.0)], first_offset=10**6)
    outdated = outdated_scores(connection, FIRST, PARAMETERS.hash())
    assert outdated.windows is not None
    assert (outdated.late_readings, outdated.windows) == (1, WindowRange(MONDAYS[1], WINDOWS[-1]))
    score(connection, outdated.windows.first, WINDOWS[-1])
    thin_states(connection, outdated.windows.first, KEEP)
    assert outdated_scores(connection, FIRST, PARAMETERS.hash()).windows is None
    assert window_start(late) not in {start for _, start in states(connection)}


YEARS = timedelta(days=2000)


@pytest.mark.usefixtures("all_states")
@pytest.mark.parametrize(
    ("clock", "horizon"),
    [(WINDOWS[-1] + YEARS, MONDAYS[3]), (MONDAYS[3], MONDAYS[1]), (WINDOWS[-1] - YEARS, FIRST)],
    ids=["ahead by years", "behind by weeks", "behind by years"],
)
def test_a_wrong_clock_alone_thins_out_no_week_that_is_still_needed(
    connection: DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, clock: datetime, horizon: datetime
) -> None:
    monkeypatch.setattr(retention, "utc_now", lambda: clock)
    before = states(connection)
    thin_states(connection, FIRST, KEEP)
    left = states(connection)
    assert {key for key in before if key[1] >= horizon} <= left.keys()
    assert (len(left) < len(before)) == (horizon > FIRST)


@pytest.mark.usefixtures("all_states")
def test_a_reading_from_the_future_alone_thins_out_no_week_that_is_still_needed(
    connection: DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "utc_now", lambda: WINDOWS[-1] + WINDOW_LENGTH)
    far = window_start(WINDOWS[-1] + YEARS)
    connection.execute("INSERT INTO windows (window_start, readings, scored, revision) VALUES (?, 1, 1, 9)", [far])
    thin_states(connection, FIRST, KEEP)
    assert thinned_before(connection) == MONDAYS[3]


def test_after_a_tick_by_a_clock_that_was_ahead_the_next_ticks_work_and_give_the_same_scores(
    connection: DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That clock took in a reading from the future, too: so all weeks are thinned out that there are."""
    bring(connection)
    middle = WINDOWS.index(MONDAYS[2] + 5 * WINDOW_LENGTH)
    score(connection, WINDOWS[0], WINDOWS[middle])
    far = window_start(WINDOWS[-1] + YEARS)
    connection.execute("INSERT INTO windows (window_start, readings, scored, revision) VALUES (?, 1, 1, 9)", [far])
    monkeypatch.setattr(retention, "utc_now", lambda: far)
    assert thin_states(connection, FIRST, timedelta()) > 0
    assert (thinned_before(connection) or FIRST) > WINDOWS[-1]
    for last in WINDOWS[middle + 1 : middle + 29]:
        for windows in due_ranges(connection, WindowRange(FIRST, last)):
            score(connection, windows.first, windows.last)
            record_health(connection, judged(windows), "regions")
            record_selection(connection, windows, "thresholds")
            record_verdicts(connection, windows, "settings")
    scores = rows(connection, f"FROM scored_readings WHERE window_start <= '{last}' ORDER BY ALL")
    connection.execute("DELETE FROM windows WHERE window_start = ?", [far])
    score(connection, FIRST, last)
    assert rows(connection, f"FROM scored_readings WHERE window_start <= '{last}' ORDER BY ALL") == scores


def judged(windows: WindowRange) -> pa.Table:
    """What the ledger records of windows that were judged."""
    numbers = [1] * len(windows)
    return pa.table(
        {"window_start": [*windows], "readings": numbers, "revision": numbers, "since": [FIRST] * len(windows)}
    )


def test_a_gap_within_a_thinned_week_is_named_from_where_scoring_can_begin(connection: DuckDBPyConnection) -> None:
    bring(connection)
    gap = at("2022-07-27T12:00")
    connection.execute("DELETE FROM readings WHERE window_start = ?", [gap])
    connection.execute("DELETE FROM windows WHERE window_start = ?", [gap])
    score(connection, WINDOWS[0], WINDOWS[-1])
    thin_states(connection, FIRST, KEEP)
    take_in(connection, [message("45.1, -122", gap, 20.0)], first_offset=10**6)
    with pytest.raises(UnscoredWindowsError, match=f"the windows from {gap:%Y-%m-%dT%H:%M} to") as refused:
        score(connection, WINDOWS[-1], WINDOWS[-1])
    assert refused.value.windows == WindowRange(MONDAYS[0], WINDOWS[-1])
    score(connection, MONDAYS[0], WINDOWS[-1])


def test_nothing_is_dropped_before_anything_was_scored(connection: DuckDBPyConnection) -> None:
    bring(connection)
    assert thin_states(connection, FIRST, KEEP) == 0
    assert thinned_before(connection) is None
