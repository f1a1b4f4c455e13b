"""Regions as a Dagster resource."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from aqi_dagster import defaults
from aqi_dagster.pipeline.regions.choice import RegionChoice
from aqi_dagster.pipeline.regions.counties import look_up_counties
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.progress import Progress, unwatched
from aqi_dagster.windows import WindowRange


class RegionsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How sensors are gathered into regions."""

    method: str = Field(default=defaults.REGION_METHOD, description="name, polygons, county or nominatim")
    name: str = Field(default=defaults.REGION, description="Method name: the region of all sensors")
    file: str | None = Field(default=None, description="Method polygons: GeoJSON file of named polygons")
    nominatim_url: str = Field(default=defaults.NOMINATIM_URL, description="Method nominatim: address of the server")
    nominatim_user_agent: str = Field(
        default="", description="Method nominatim: what tells the server's owners who asks"
    )
    elsewhere: str = Field(default=defaults.REGION_ELSEWHERE, description="Region of the sensors that are in no other")

    @property
    def choice(self) -> RegionChoice:
        """The regions as an object of the pipeline, which reads no file and asks no server before its first use."""
        return RegionChoice(
            self.method,
            self.name,
            Path(self.file) if self.file else None,
            self.nominatim_url,
            self.nominatim_user_agent,
            self.elsewhere,
        )

    def look_up(self, store: Store, windows: WindowRange, of_all: bool = False, progress: Progress = unwatched) -> None:
        """Have counties looked up: of the sensors with anomalies in ``windows``, or ``of_all`` that reported in them.

        ``store`` is free meanwhile; ``progress`` is in sensors.
        """
        geocoder = self.choice.geocoder()
        if geocoder is not None:
            look_up_counties(store, geocoder, windows, self.elsewhere, of_all, progress)
