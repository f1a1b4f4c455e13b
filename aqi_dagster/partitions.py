"""The Dagster partitions: one per 12-hour window, from the configured first one to the newest that has ended."""

from collections.abc import Mapping

import dagster as dg

from aqi_dagster.settings import load_settings
from aqi_dagster.windows import KEY_FORMAT, WINDOW_CRON, WINDOW_LENGTH, WindowRange, window_key

# The only setting that is read at import, because partitions are part of the definitions.
FIRST_WINDOW = load_settings().first_window
"""Start of the first window, naive UTC."""

WINDOWS = dg.TimeWindowPartitionsDefinition(
    start=window_key(FIRST_WINDOW),
    cron_schedule=WINDOW_CRON,
    fmt=KEY_FORMAT,
    timezone="UTC",
)

ALL_AT_ONCE = dg.BackfillPolicy.single_run()
"""A backfill of any length is one run, which commits window by window."""

NO_WINDOW_YET = f"No window has ended yet: the first one starts at {WINDOWS.start:%Y-%m-%d %H:%M} UTC."
"""Why there is nothing to run before the first window has ended."""


def range_tags(first: str, last: str) -> dict[str, str]:
    """Run tags that ask for the partitions from key ``first`` to key ``last``, both included, in one run."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def requested_range(tags: Mapping[str, str]) -> WindowRange:
    """The windows that a run with :func:`range_tags` asks for."""
    first, last = range_tags("", "")
    return WindowRange.of_keys(tags[first], tags[last])


def requested_windows(context: dg.AssetExecutionContext) -> WindowRange:
    """The windows that a run asks for: one, or a range."""
    first, end = (moment.replace(tzinfo=None) for moment in context.partition_time_window)
    return WindowRange(first, end - WINDOW_LENGTH)
