"""What has to have been done in windows before a step: an error that names the range where it was not."""

from duckdb import DuckDBPyConnection

from aqi_dagster.errors import OutdatedAnomaliesError, UnjudgedWindowsError, UnscoredWindowsError
from aqi_dagster.pipeline.store.outdated import unscored_readings
from aqi_dagster.windows import WindowRange

# A hash that was not recorded is NULL, and differs from none.
_UNSELECTED = """
SELECT min(window_start), max(window_start)
FROM windows
WHERE
    window_start BETWEEN $first AND $last
    AND scored > 0
    AND (selected IS DISTINCT FROM revision OR selection_hash <> $selection_hash)
"""

_UNJUDGED = """
SELECT min(window_start), max(window_start)
FROM windows
WHERE health_readings IS NULL AND readings > 0 AND window_start BETWEEN $first AND $last
"""


def require_scored(connection: DuckDBPyConnection, windows: WindowRange) -> None:
    """Raise :class:`UnscoredWindowsError` if one of ``windows`` holds readings, but was never scored."""
    gap = unscored_readings(connection, windows)
    if gap is not None:
        raise UnscoredWindowsError(
            f"Nothing can be said of windows {windows} yet: {gap.readings} readings of {gap.windows} were never "
            f"scored. Materialize the range from {gap.windows} in one run, all assets from readings on.",
            gap.windows,
        )


def require_selected(connection: DuckDBPyConnection, windows: WindowRange, selection_hash: str) -> None:
    """Raise :class:`OutdatedAnomaliesError` if anomalies of ``windows`` are not those of the present scores.

    It is raised for anomalies that were selected by other thresholds, too.
    """
    parameters = {**windows.bounds, "selection_hash": selection_hash}
    ((first, last),) = connection.execute(_UNSELECTED, parameters).fetchall()
    if first is not None:
        required = WindowRange(first, last)
        raise OutdatedAnomaliesError(
            f"Windows {windows} cannot be classified: the anomalies of {required} were not selected from their present "
            "scores by the present thresholds. Materialize anomalies and regional_windows of that range in one run.",
            required,
        )


def require_judged(connection: DuckDBPyConnection, windows: WindowRange) -> None:
    """Raise :class:`UnjudgedWindowsError` if one of ``windows`` holds readings whose sensors were never judged."""
    ((first, last),) = connection.execute(_UNJUDGED, windows.bounds).fetchall()
    if first is not None:
        required = WindowRange(first, last)
        raise UnjudgedWindowsError(
            f"Windows {windows} cannot be classified by the health of their sensors: that of {required} was never "
            "judged. Materialize sensor_health and regional_windows of that range in one run.",
            required,
        )
