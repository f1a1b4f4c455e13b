"""Questions to PurpleAir's API that are paid for: asked again while there may be a better answer."""

from collections.abc import Mapping, Sequence

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from aqi_dagster.errors import PurpleAirRefusedError
from aqi_dagster.polling.api import PassingFaultError, PurpleAir, Table
from aqi_dagster.polling.budget import Budget, DaySpentError
from aqi_dagster.polling.clock import FeedClock
from aqi_dagster.polling.memory import Memory
from aqi_dagster.polling.prices import BASE_POINTS, request_points
from aqi_dagster.polling.selections import Selection
from aqi_dagster.polling.told_once import ToldOnce

PATIENCE = 300.0
"""Seconds that a poll waits for a better answer; when PurpleAir asks for more, the next poll comes so much later."""

ATTEMPTS = 3

WHAT = "PurpleAir's API"


class Questions:
    """Asks ``api``, for no more than ``points_a_day``; ``always`` are parameters of every question.

    Attributes
    ----------
    pause
        Seconds that the next question is to wait for, by the answers since it was set to 0.
    """

    def __init__(
        self,
        api: PurpleAir,
        memory: Memory,
        clock: FeedClock,
        points_a_day: int,
        always: Mapping[str, str],
        told: ToldOnce,
    ) -> None:
        self._api = api
        self._memory = memory
        self._clock = clock
        self._budget = Budget(memory, clock, points_a_day)
        self._always = always
        self._told = told
        self.pause = 0.0

    def ask(self, selection: Selection, fields: Sequence[str], further: Mapping[str, str], rows: int) -> Table | None:
        """An answer, after some attempts; None, and what is the matter is told, if there is none now."""
        retrying = Retrying(
            retry=retry_if_exception_type(PassingFaultError),
            stop=lambda state: stop_after_attempt(ATTEMPTS)(state) or retry_after(state) > PATIENCE,
            wait=lambda state: retry_after(state) or wait_random_exponential(multiplier=5, max=60)(state),
            sleep=self._clock.clock.sleep,
            reraise=True,
        )
        try:
            table: Table = retrying(self._ask_once, selection, fields, {**self._always, **further}, rows)
        except PassingFaultError as error:
            self.pause = max(self.pause, error.retry_after or 0.0)
            problem = str(error)
        except DaySpentError as error:
            self.pause = max(self.pause, error.seconds)
            problem = f"the {self._budget.limit:,} points of this day are used up; it goes on at 00:00 UTC"
        else:
            self._told.well(WHAT)
            self._memory.note("trouble", None)
            return table
        self._told.trouble(WHAT, problem)
        self._memory.note("trouble", problem)
        return None

    def _ask_once(self, selection: Selection, fields: Sequence[str], further: Mapping[str, str], rows: int) -> Table:
        asked = [*selection.fields, *fields]
        with self._budget.request(request_points(asked, rows)) as settle:
            try:
                table = self._api.sensors(selection, fields, further)
            except PassingFaultError as error:
                self._learn(error.told)
                if not error.charged:
                    settle(BASE_POINTS)
                raise
            except PurpleAirRefusedError as error:
                settle(BASE_POINTS)
                self._memory.note("trouble", str(error))
                raise
            self._learn(table.told)
            settle(request_points(asked, len(table.rows)))
            return table

    def _learn(self, told: float | None) -> None:
        if told is not None and self._clock.learn(told):
            self._memory.note("latest", told)
        elif told is not None:
            self._told.trouble(
                "Clock", "this machine's and PurpleAir's are more than a day apart: see which one is wrong"
            )


def retry_after(state: RetryCallState) -> float:
    """The seconds that the last answer asked to wait, 0 if it asked for nothing."""
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after or 0.0) if isinstance(error, PassingFaultError) else 0.0
