"""What tells of now: a fact of its moment, and what a channel was last told of that kind."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

MOMENT = timedelta(minutes=30)
"""How long "now" is: an early warning and its kind that wait for longer are not told any more."""

MomentKind = Literal["early", "ongoing", "all_clear", "muted"]

MomentVerdict = Literal["smoke", "clear", "withdrawn", "muted"]


class LastMoment(NamedTuple):
    """The last alert of a region that told of now: its kind and window, and the window of the last early warning."""

    region: str
    kind: str
    told_in: datetime
    warned_in: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether smoke was told that was not said to be over."""
        return self.kind != "all_clear"


@dataclass(frozen=True)
class Moment:
    """What is to be told of a region's air at ``as_of``, by the columns of ``slack_alerts``."""

    kind: MomentKind
    verdict: MomentVerdict
    region: str
    as_of: datetime
    level: float | None
    trend: float | None
    since: datetime
    healthy: list[str]
    broken: list[str]
    aqi_of_nowcast: int | None
    reason: str
