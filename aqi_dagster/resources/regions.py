"""Regions as a Dagster resource."""

import dagster as dg
from pydantic import Field

from aqi_dagster.pipeline.regions import OneRegion, Regions


class RegionsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How sensors are gathered into regions: all into one, by name."""

    name: str = Field(description="Name of the region of all sensors")

    @property
    def regions(self) -> Regions:
        """The regions as the pipeline takes them."""
        return OneRegion(self.name)
