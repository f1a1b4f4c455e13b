"""The Kafka topic, which others fill."""

import dagster as dg

from aqi_dagster.assets.pages import GROUP

sensor_data = dg.AssetSpec(
    "sensor_data",
    group_name=GROUP,
    kinds={"kafka"},
    description=(
        "Kafka topic of PurpleAir readings, filled by others. The key is the JSON text `latitude, longitude` of the "
        "sensor, the value a JSON object with `created_at` (UTC) and `PM2.5_CF1_ug/m3` (ug/m3)."
    ),
)
