"""What is missing or outdated, where a window was run before it held any reading."""

from datetime import datetime

import pytest

from aqi_dagster.errors import UnscoredWindowsError
from aqi_dagster.pipeline.store.due import due_ranges
from aqi_dagster.windows import WindowRange
from tests.support.messages import RawMessage
from tests.support.pipeline import Pipeline, one_pass, pipeline
from tests.support.window_readings import STARTS, readings

ALL = WindowRange(STARTS[0], STARTS[3])


def of(*starts: datetime) -> list[RawMessage]:
    return [one for start in starts for one in readings(start)]


def is_as_of_one_pass(ran: Pipeline, *starts: datetime) -> bool:
    return ran.tables() == one_pass(of(*starts), ran.choices, ALL.last)


def test_a_window_that_was_run_before_it_held_any_reading_counts_as_never_scored() -> None:
    """Else those behind it would be scored on detectors that never learned from it, as if it were only late."""
    with pipeline() as ran:
        ran.pull(of(*STARTS[1:3]))
        ran.run(ALL)
        assert ran.named() == []
        ran.pull(of(STARTS[0]))
        assert ran.status.unscored is not None
        assert (ran.status.unscored.readings, ran.status.unscored.windows) == (72, WindowRange(STARTS[0], STARTS[0]))
        assert due_ranges(ran.connection, ALL) == [ALL]
        with pytest.raises(UnscoredWindowsError) as refused:
            ran.run(WindowRange(STARTS[2], STARTS[2]), ["score"])
        assert refused.value.windows == WindowRange(STARTS[0], STARTS[2])
        ran.run(refused.value.windows)
        assert ran.named() == []
        assert is_as_of_one_pass(ran, *STARTS[:3])


def test_readings_of_the_last_windows_that_were_run_before_they_held_any_are_named() -> None:
    with pipeline() as ran:
        ran.pull(of(STARTS[0]))
        ran.run(ALL)
        ran.pull(of(STARTS[1]))
        assert WindowRange(STARTS[1], STARTS[1]) in ran.named()
        ran.mend()
        assert is_as_of_one_pass(ran, *STARTS[:2])


def test_the_tick_heals_windows_that_were_run_before_anything_was_pulled() -> None:
    """As a backfill of all assets but `readings` does, or a clock that was ahead."""
    with pipeline() as ran:
        ran.run(ALL)
        ran.pull(of(*STARTS))
        assert due_ranges(ran.connection, ALL) == [ALL]
        ran.tick(ALL)
        assert ran.named() == []
        assert is_as_of_one_pass(ran, *STARTS)
