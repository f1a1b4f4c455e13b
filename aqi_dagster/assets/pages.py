"""Metadata of all asset pages: tables and their columns, lineage, numbers of each window, time of each stage."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import dagster as dg

from aqi_dagster.instance.window_metadata import add_window_metadata
from aqi_dagster.message_fields import OPTIONAL_NUMBERS, PM25_FIELD
from aqi_dagster.pipeline.store.columns import stored_columns
from aqi_dagster.polling.liveness import Source
from aqi_dagster.windows import window_key

GROUP = "air_quality"

NEWEST_SHOWN = 2
"""The plots, and the logged verdicts, of one run: only the newest, as Dagster's event log keeps them for ever."""

_SCORED = ["sensor", "created_at", "window_start", "pm25_cf1"]
_CORRECTED = ["anomalies.pm25_cf1", "readings.pm25_cf1", "readings.humidity"]

LINEAGE: Mapping[str, Mapping[str, Sequence[str]]] = {
    "readings": {
        "sensor": ["sensor_data.key"],
        "created_at": ["sensor_data.created_at"],
        "window_start": ["sensor_data.created_at"],
        "entry_id": ["sensor_data.entry_id"],
        **{column: [f"sensor_data.{field}"] for column, field in {"pm25_cf1": PM25_FIELD, **OPTIONAL_NUMBERS}.items()},
    },
    "scored_readings": {
        **{column: [f"readings.{column}"] for column in _SCORED},
        "score": ["readings.pm25_cf1", "readings.created_at"],
    },
    "sensor_health": {
        "sensor": ["readings.sensor"],
        "window_start": ["readings.window_start"],
        "hours": ["readings.created_at"],
        **{column: ["readings.pm25_cf1"] for column in ("mean_pm25", "max_hour_pm25", "neighbours_pm25")},
        **{column: ["readings.pm25_cf1", "readings.humidity"] for column in ("corrected_pm25", "hours_above_35")},
        "fault": [f"readings.{column}" for column in ("pm25_cf1", "pm25_cf1_b", "pm1_cf1", "pm10_cf1")],
    },
    "anomalies": {column: [f"scored_readings.{column}"] for column in [*_SCORED, "score"]},
    "regional_windows": {
        "region": ["anomalies.sensor"],
        "window_start": ["anomalies.window_start"],
        "window_end": ["anomalies.window_start"],
        "sensors": ["anomalies.sensor"],
        "count_sensors": ["anomalies.sensor"],
        "count_anomalies": ["anomalies.created_at"],
        "min_event": ["anomalies.created_at"],
        "max_pm25": ["anomalies.pm25_cf1"],
        "variation": ["anomalies.pm25_cf1"],
        "verdict": ["anomalies.sensor", "anomalies.pm25_cf1"],
        "max_pm25_corrected": _CORRECTED,
        "aqi_of_max": _CORRECTED,
        "aqi_category": _CORRECTED,
        "others_pm25": ["scored_readings.pm25_cf1"],
        "implausible": ["sensor_health.fault"],
        "level": ["sensor_health.corrected_pm25"],
        "healthy_sensors": ["sensor_health.fault"],
        "broken_sensors": ["sensor_health.fault"],
    },
    "conditions": {
        "region": ["readings.sensor"],
        **{
            column: ["readings.pm25_cf1", "readings.humidity"]
            for column in ("level", "trend", "state", "since", "healthy", "broken", "nowcast", "aqi_of_nowcast")
        },
    },
    "slack_alerts": {column: [f"regional_windows.{column}"] for column in ("region", "window_start", "verdict")},
}
"""The sources of each column of a table, as ``table.column``; a column that the pipeline adds itself has none."""


def table_metadata(table: str) -> dict[str, Any]:
    """Metadata of the asset that is stored as ``table``: its columns with their comments, and where they come from."""
    return {
        "dagster/table_name": table,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    column.type,
                    column.comment,
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in stored_columns()[table]
            ]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {column: [_dependency(source) for source in sources] for column, sources in LINEAGE[table].items()}
        ),
    }


def _dependency(source: str) -> dg.TableColumnDep:
    # A field of the message may hold dots itself.
    asset, column = source.split(".", 1)
    return dg.TableColumnDep(dg.AssetKey(asset), column)


def describe_windows(
    context: dg.AssetExecutionContext, windows: Mapping[datetime, Mapping[str, Any]], of_run: Mapping[str, Any]
) -> None:
    """Attach the metadata of each window (start) to its materialization, and those of the run to that of the newest.

    So the plots of a run's metadata have one point a run; attached to every window they would have one a window.
    """
    newest = max(windows)
    add_window_metadata(
        context,
        {window_key(start): {**metadata, **(of_run if start == newest else {})} for start, metadata in windows.items()},
    )


def credited(windows: Mapping[datetime, Mapping[str, Any]], source: Source | None) -> dict[datetime, dict[str, Any]]:
    """The metadata of ``windows``, with the source of the readings and a link, if there is one to be named."""
    credit = {} if source is None else {"source": dg.MetadataValue.md(f"Data from [{source.name}]({source.address})")}
    return {start: {**metadata, **credit} for start, metadata in windows.items()}


class Stages:
    """Milliseconds that the stages of a step took, as metadata."""

    def __init__(self) -> None:
        self.metadata: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as stage ``name``."""
        started = time.perf_counter()
        yield
        self.metadata[f"{name}_ms"] = round((time.perf_counter() - started) * 1000)
