"""A Dagster instance on disk in which things go wrong, and the sensor that tells of them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from aqi_dagster.automation import trouble_sensor
from aqi_dagster.resources.channels import ChannelsResource
from aqi_dagster.resources.slack import SlackResource
from aqi_dagster.resources.warehouse import WarehouseResource

SILENT_AFTER = timedelta(hours=6)


@dataclass
class Watch:
    """The sensor on an instance that looks at ``location``, with the cursor that it left."""

    instance: dg.DagsterInstance
    location: dg.Definitions
    data_dir: Path
    channels: ChannelsResource
    cursor: str | None = None

    def tick(self) -> SensorExecutionData:
        """Let it look once."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.location.get_repository_def(),
            resources={
                "warehouse": WarehouseResource(data_dir=str(self.data_dir)),
                "slack": SlackResource(),
                "channels": self.channels,
            },
        ) as context:
            seen = trouble_sensor(SILENT_AFTER).evaluate_tick(context)
        self.cursor = seen.cursor
        return seen
