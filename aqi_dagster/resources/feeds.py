"""The feeds that fill the topic, as a Dagster resource."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from aqi_dagster.polling.liveness import FeedState, feed_states, history_points


class FeedsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The feeds that AQI_FEED names, or that have ever run with this folder."""

    data_dir: str = Field(description="Folder in which feeds keep what they remember")
    named: list[str] = Field(default=[], description="Kinds of the feeds that AQI_FEED names")

    def states(self, now: float) -> list[FeedState]:
        """How they are at a moment, in seconds since 1970. Raises ``FeedError`` if what they noted cannot be read."""
        return feed_states(Path(self.data_dir), now)

    def history_points(self, now: float) -> int:
        """What was paid for history on the UTC day of a moment."""
        return history_points(Path(self.data_dir), now)
