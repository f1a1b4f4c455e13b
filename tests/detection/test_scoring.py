"""Scoring windows: however a series is cut into runs, the tables are those of one pass over it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from river.anomaly import HalfSpaceTrees

from aqi_dagster.errors import ChangedFirstWindowError, DetectorStateError, UnscoredWindowsError
from aqi_dagster.pipeline.detection import progress
from aqi_dagster.pipeline.detection.detectors import DetectorParameters
from aqi_dagster.pipeline.detection.progress import ScoredWindow
from aqi_dagster.pipeline.detection.scoring import score_windows
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.outdated import OutdatedScores, outdated_scores
from aqi_dagster.windows import WINDOW_LENGTH, WindowRange, window_key, window_start
from tests.support.messages import FIRST_WINDOW, message, take_in
from tests.support.tables import rows

PARAMETERS = DetectorParameters()

STEP = timedelta(minutes=24)

WINDOWS = [FIRST_WINDOW + number * WINDOW_LENGTH for number in range(8)]

Reading = tuple[datetime, str, float]


def sensor_series(sensor: str, first: int, last: int, seed: int) -> list[Reading]:
    """Readings of one sensor from window number ``first`` to ``last``, with a plume now and then."""
    random = Random(seed)  # noqa: S311 (no secret)
    times = [WINDOWS[first] + n * STEP for n in range((last - first + 1) * (WINDOW_LENGTH // STEP))]
    return [
        (time, sensor, random.choice([20, 30, 40]) + (random.random() < 0.1) * random.uniform(300, 900))
        for time in times
    ]


READINGS = [
    *sensor_series("45.1, -122", 0, 7, seed=1),
    *sensor_series("45.2, -122", 0, 2, seed=2),
    *sensor_series("45.2, -122", 6, 7, seed=3),
    *sensor_series("45.3, -122", 3, 7, seed=4),
]
"""One sensor all the time, one with a gap of three windows, one that starts later."""


def bring(connection: DuckDBPyConnection, readings: Sequence[Reading]) -> None:
    offset = rows(connection, "SELECT count(*) FROM readings")[0][0]
    take_in(connection, [message(sensor, time, pm25) for time, sensor, pm25 in readings], first_offset=offset)


def score(
    connection: DuckDBPyConnection, windows: Sequence[datetime], parameters: DetectorParameters = PARAMETERS
) -> list[ScoredWindow]:
    return list(score_windows(connection, WindowRange.of(windows), FIRST_WINDOW, parameters))


def outdated(connection: DuckDBPyConnection) -> OutdatedScores:
    return outdated_scores(connection, FIRST_WINDOW, PARAMETERS.hash())


def tables(connection: DuckDBPyConnection) -> list[list[tuple[Any, ...]]]:
    """What scoring has written, but for the revisions, which tell how it came to be."""
    return [
        rows(connection, "SELECT * FROM scored_readings ORDER BY ALL"),
        rows(connection, "SELECT * FROM detector_states ORDER BY sensor, window_start"),
        rows(connection, "SELECT * EXCLUDE (revision) FROM windows ORDER BY ALL"),
    ]


@pytest.fixture
def one_pass(tmp_path: Path) -> list[list[tuple[Any, ...]]]:
    """The tables that one run over all readings leaves, which were taken in in order."""
    with Store(tmp_path / "one_pass").exclusive() as connection:
        bring(connection, sorted(READINGS))
        score(connection, WINDOWS)
        return tables(connection)


def test_one_run_over_all_windows_is_what_river_gives(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    scored = score(connection, WINDOWS)
    expected = []
    for sensor in sorted({sensor for _, sensor, _ in READINGS}):
        tree = HalfSpaceTrees(n_trees=4, height=3, window_size=50, seed=11, limits={"x": (0.0, 1200.0)})
        for time, _, pm25 in sorted(reading for reading in READINGS if reading[1] == sensor):
            value = round(pm25, 2)
            expected.append((sensor, time, window_start(time), value, tree.score_one({"x": value})))
            tree.learn_one({"x": value})
    assert rows(connection, "SELECT * FROM scored_readings ORDER BY sensor, created_at") == expected
    assert sum(row[-1] > 0.7 for row in expected) > 10
    assert [window.start for window in scored] == WINDOWS
    assert [window.sensors for window in scored] == [2, 2, 2, 2, 2, 2, 3, 3]
    assert sum(window.readings for window in scored) == len(READINGS)
    assert outdated(connection) == OutdatedScores(0, 0, None)


@pytest.mark.parametrize("cuts", [[1, 2, 3, 4, 5, 6, 7], [3], [1, 6]])
def test_runs_over_parts_leave_the_tables_of_one_pass(
    store: Store, cuts: list[int], one_pass: list[list[tuple[Any, ...]]]
) -> None:
    for first, last in pairwise([0, *cuts, len(WINDOWS)]):
        with store.exclusive() as connection:
            bring(connection, [reading for reading in READINGS if window_start(reading[0]) in WINDOWS[first:last]])
            score(connection, WINDOWS[first:last])
    with store.exclusive() as connection:
        assert tables(connection) == one_pass


def test_readings_are_scored_in_groups_that_fit_in_memory(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "READINGS_AT_ONCE", 130)
    bring(connection, READINGS)
    score(connection, WINDOWS)
    assert tables(connection) == one_pass


def test_windows_that_are_scored_again_stay_as_they_are(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    assert sum(window.newly_scored for window in score(connection, WINDOWS)) == len(READINGS)
    before = tables(connection), rows(connection, "SELECT window_start, revision FROM windows ORDER BY ALL")
    assert sum(window.newly_scored for window in score(connection, WINDOWS[2:5])) == 0
    score(connection, WINDOWS[4:5])
    assert before == (tables(connection), rows(connection, "SELECT window_start, revision FROM windows ORDER BY ALL"))


def test_a_run_that_is_given_up_keeps_its_windows_and_can_be_gone_on_with(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "READINGS_AT_ONCE", 0)
    bring(connection, READINGS)
    run = score_windows(connection, WindowRange.of(WINDOWS), FIRST_WINDOW, PARAMETERS)
    assert [next(run).start, next(run).start] == WINDOWS[:2]
    run.close()
    assert rows(connection, "SELECT DISTINCT window_start FROM scored_readings ORDER BY ALL") == [
        (w,) for w in WINDOWS[:2]
    ]
    score(connection, WINDOWS[2:])
    assert tables(connection) == one_pass


def test_late_readings_are_told_with_the_range_that_takes_them_in(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]]
) -> None:
    late = [reading for reading in READINGS if window_start(reading[0]) == WINDOWS[2]][10:30]
    bring(connection, [reading for reading in READINGS if reading not in late])
    score(connection, WINDOWS)
    bring(connection, late)
    assert outdated(connection) == OutdatedScores(len(late), 0, WindowRange(WINDOWS[2], WINDOWS[7]))
    rerun = score(connection, WINDOWS[2:])
    assert [window.newly_scored for window in rerun] == [len(late), 0, 0, 0, 0, 0]
    assert tables(connection) == one_pass
    assert outdated(connection).windows is None


def test_windows_that_build_on_one_that_was_scored_anew_are_stale(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]]
) -> None:
    late = [reading for reading in READINGS if window_start(reading[0]) == WINDOWS[2]][:5]
    bring(connection, [reading for reading in READINGS if reading not in late])
    score(connection, WINDOWS)
    bring(connection, late)
    score(connection, WINDOWS[2:3])
    assert outdated(connection) == OutdatedScores(0, 5, WindowRange(WINDOWS[3], WINDOWS[7]))
    score(connection, WINDOWS[3:5])
    assert outdated(connection) == OutdatedScores(0, 3, WindowRange(WINDOWS[5], WINDOWS[7]))
    score(connection, WINDOWS[5:])
    assert outdated(connection).windows is None
    assert tables(connection) == one_pass


def test_readings_before_the_first_scored_window_make_all_later_ones_outdated(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]]
) -> None:
    early = [reading for reading in READINGS if window_start(reading[0]) in WINDOWS[:4]]
    bring(connection, [reading for reading in READINGS if reading not in early])
    score(connection, WINDOWS[4:])
    assert outdated(connection).windows is None
    bring(connection, early)
    assert outdated(connection) == OutdatedScores(0, 0, WindowRange(WINDOWS[0], WINDOWS[7]), len(early))
    with pytest.raises(UnscoredWindowsError):
        score(connection, WINDOWS[7:])
    score(connection, WINDOWS[:4])
    assert outdated(connection) == OutdatedScores(0, 4, WindowRange(WINDOWS[4], WINDOWS[7]))
    score(connection, WINDOWS[4:])
    assert tables(connection) == one_pass
    assert outdated(connection).windows is None


def test_a_window_is_not_scored_while_nothing_before_it_was(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    with pytest.raises(UnscoredWindowsError) as refused:
        score(connection, WINDOWS[7:])
    assert refused.value.windows == WindowRange(WINDOWS[0], WINDOWS[7])
    assert rows(connection, "SELECT count(*) FROM scored_readings") == [(0,)]


def test_a_later_first_window_is_told_and_begins_a_chain_of_its_own(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    bring(connection, READINGS)
    score(connection, WINDOWS)
    later = WINDOWS[3]
    found = outdated_scores(connection, later, PARAMETERS.hash())
    assert found == OutdatedScores(0, 0, WindowRange(later, WINDOWS[7]), 0, 3 + 5)
    with pytest.raises(ChangedFirstWindowError, match="AQI_FIRST_WINDOW") as refused:
        list(score_windows(connection, WindowRange(WINDOWS[7], WINDOWS[7]), later, PARAMETERS))
    assert refused.value.windows == WindowRange(later, WINDOWS[7])
    list(score_windows(connection, WindowRange(later, WINDOWS[7]), later, PARAMETERS))
    assert outdated_scores(connection, later, PARAMETERS.hash()).windows is None
    with Store(tmp_path / "from_later_on").exclusive() as other:
        bring(other, sorted(READINGS))
        list(score_windows(other, WindowRange(later, WINDOWS[7]), later, PARAMETERS))
        assert tables(connection) == tables(other)


def test_an_earlier_first_window_changes_nothing_unless_it_adds_readings(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    score(connection, WINDOWS)
    earlier = FIRST_WINDOW - timedelta(days=30)
    before = tables(connection)
    assert outdated_scores(connection, earlier, PARAMETERS.hash()).windows is None
    list(score_windows(connection, WindowRange(WINDOWS[7], WINDOWS[7]), earlier, PARAMETERS))
    assert tables(connection) == before
    bring(connection, [(earlier + timedelta(hours=1), "45.1, -122", 20.0)])
    with pytest.raises(UnscoredWindowsError) as refused:
        list(score_windows(connection, WindowRange(WINDOWS[7], WINDOWS[7]), earlier, PARAMETERS))
    assert refused.value.windows == WindowRange(earlier, WINDOWS[7])


def test_a_window_behind_unscored_readings_names_the_range_to_run_first(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    score(connection, WINDOWS[:2])
    before = tables(connection)
    missed = [reading for reading in READINGS if window_start(reading[0]) in WINDOWS[2:4]]
    with pytest.raises(UnscoredWindowsError) as refused:
        score(connection, WINDOWS[4:])
    first, last = window_key(WINDOWS[2]), window_key(WINDOWS[3])
    assert f"{len(missed)} readings of the windows from {first} to {last} were never scored" in str(refused.value)
    assert f"Materialize the range from {first} to {window_key(WINDOWS[4])} in one run" in str(refused.value)
    assert refused.value.windows == WindowRange(WINDOWS[2], WINDOWS[4])
    assert tables(connection) == before


@pytest.mark.parametrize("windows", [WINDOWS[::2], WINDOWS[1::-1], [WINDOWS[0]] * 2])
def test_windows_that_do_not_follow_on_each_other_are_refused(
    connection: DuckDBPyConnection, windows: list[datetime]
) -> None:
    bring(connection, READINGS)
    with pytest.raises(ValueError, match="windows must be consecutive"):
        score(connection, windows)


def test_windows_without_readings_leave_no_gap(connection: DuckDBPyConnection) -> None:
    bring(connection, [reading for reading in READINGS if window_start(reading[0]) not in WINDOWS[2:4]])
    score(connection, WINDOWS[:2])
    assert [window.readings > 0 for window in score(connection, WINDOWS[4:])] == [True] * 4
    assert [window.readings for window in score(connection, WINDOWS[2:4])] == [0, 0]
    assert outdated(connection).stale_windows == 0


def test_readings_before_the_first_window_are_kept_and_never_scored(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]]
) -> None:
    early = [(FIRST_WINDOW - timedelta(minutes=minutes), "45.1, -122", 900.0) for minutes in (1, 20, 2000)]
    bring(connection, [*early, *READINGS])
    score(connection, WINDOWS)
    assert tables(connection)[:2] == one_pass[:2]
    kept = rows(connection, "SELECT created_at FROM readings ANTI JOIN scored_readings USING (sensor, created_at)")
    assert sorted(kept) == sorted((time,) for time, _, _ in early)
    assert outdated(connection).windows is None


def test_a_repeated_reading_is_scored_once_with_the_value_that_came_first(
    connection: DuckDBPyConnection, one_pass: list[list[tuple[Any, ...]]]
) -> None:
    bring(connection, READINGS)
    bring(connection, [(time, sensor, pm25 + 500) for time, sensor, pm25 in READINGS[::3]])
    score(connection, WINDOWS)
    assert tables(connection) == one_pass


def test_other_parameters_ask_for_all_windows_to_be_scored_anew(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    score(connection, WINDOWS)
    before = tables(connection)
    other = replace(PARAMETERS, window_size=20)
    with pytest.raises(DetectorStateError, match="materialize all windows from the first scored one"):
        score(connection, WINDOWS[3:], other)
    assert tables(connection) == before
    found = outdated_scores(connection, FIRST_WINDOW, other.hash())
    assert found == OutdatedScores(0, 0, WindowRange(WINDOWS[0], WINDOWS[7]), 0, 8)
    score(connection, WINDOWS[:3], other)
    found = outdated_scores(connection, FIRST_WINDOW, other.hash())
    assert found == OutdatedScores(0, 5, WindowRange(WINDOWS[3], WINDOWS[7]), 0, 5)
    score(connection, WINDOWS[3:], other)
    assert outdated_scores(connection, FIRST_WINDOW, other.hash()).windows is None
    assert rows(connection, "SELECT DISTINCT parameters_hash FROM detector_states") == [(other.hash(),)]


def test_a_damaged_state_stops_the_window_that_would_build_on_it(connection: DuckDBPyConnection) -> None:
    bring(connection, READINGS)
    score(connection, WINDOWS[:3])
    connection.execute(
        "UPDATE detector_states SET state = 'x'::BLOB WHERE sensor = '45.2, -122' AND window_start = ?", [WINDOWS[2]]
    )
    assert [window.start for window in score(connection, WINDOWS[3:6])] == WINDOWS[3:6]
    with pytest.raises(DetectorStateError, match=r"sensor '45\.2, -122' after window 2022-07-19T00:00"):
        score(connection, WINDOWS[6:])
    assert rows(connection, "SELECT max(window_start) FROM scored_readings") == [(WINDOWS[5],)]
    score(connection, WINDOWS)
    assert outdated(connection).windows is None
