"""The Kafka topic, which others fill."""

import dagster as dg

from aqi_dagster.assets.pages import GROUP, LINEAGE
from aqi_dagster.pipeline.store.columns import stored_columns


def _message() -> dg.TableSchema:
    """The parts of a message that become columns of ``readings``, which have the same meaning and unit."""
    sources = {column: source.split(".", 1)[1] for column, (source,) in LINEAGE["readings"].items()}
    # The message has no window: the pipeline computes it.
    columns = [
        column for column in stored_columns()["readings"] if column.name in sources and column.name != "window_start"
    ]
    return dg.TableSchema(
        [
            dg.TableColumn(
                sources[column.name],
                "string",
                column.comment,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in columns
        ]
    )


sensor_data = dg.AssetSpec(
    "sensor_data",
    group_name=GROUP,
    kinds={"kafka"},
    metadata={"dagster/column_schema": _message()},
    description=(
        "Kafka topic of PurpleAir readings, filled by others or by the feeds that `AQI_FEED` names. The key is the "
        "JSON text `latitude, longitude` of the sensor, the value a JSON object with `created_at` (UTC) and "
        "`PM2.5_CF1_ug/m3` (ug/m3), unless the setting `KAFKA_FIELDS` says that the topic calls them otherwise."
    ),
)
