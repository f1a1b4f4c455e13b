"""A topic that has fallen silent: it is read, and nothing new is there."""

from datetime import UTC, timedelta

import duckdb

from aqi_dagster.errors import StoreError
from aqi_dagster.pipeline.alerts.troubles import Findings, Trouble
from aqi_dagster.pipeline.readings.silence import silence
from aqi_dagster.pipeline.store.connections import Store

_KEY = "silent feed"


def silent_feed(store: Store, after: timedelta) -> Findings:
    """Whether the topic was silent for longer than ``after`` when it was last read, by the published copy.

    Nothing is known if there is no copy, or it cannot be read. A topic that is not read is another trouble.
    """
    try:
        with store.reader() as copy:
            found = silence(copy)
    except (StoreError, duckdb.Error):
        return Findings()
    if found is None or not after:
        return Findings()
    if found.last_read - found.last_message <= after:
        return Findings(well=frozenset([_KEY]))
    hours = (found.last_read - found.last_message) / timedelta(hours=1)
    detail = f"the topic was read at {found.last_read:%Y-%m-%d %H:%M} UTC: see whether its producers run"
    since = found.last_message.replace(tzinfo=UTC).timestamp()
    return Findings([Trouble(_KEY, f"Nothing new has come from the topic for {hours:.0f} hours", detail, since)])
