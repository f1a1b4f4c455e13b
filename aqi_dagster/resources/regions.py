"""Regions as a Dagster resource."""

from pathlib import Path

import dagster as dg
from duckdb import DuckDBPyConnection
from pydantic import Field

from aqi_dagster.pipeline.regions.base import Geocoder, OneRegion, Regions
from aqi_dagster.pipeline.regions.counties import county_regions, look_up_counties
from aqi_dagster.pipeline.regions.geocoding import NearestTown, NominatimServer
from aqi_dagster.pipeline.regions.polygons import PolygonRegions
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.windows import WindowRange


class RegionsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How sensors are gathered into regions."""

    method: str = Field(default="name", description="name, polygons, county or nominatim")
    name: str = Field(default="Lake Tahoe", description="Method name: the region of all sensors")
    file: str | None = Field(default=None, description="Method polygons: GeoJSON file of named polygons")
    nominatim_url: str = Field(
        default="https://nominatim.openstreetmap.org", description="Method nominatim: address of the server"
    )
    nominatim_user_agent: str = Field(
        default="", description="Method nominatim: what tells the server's owners who asks"
    )
    elsewhere: str = Field(default="Elsewhere", description="Region of the sensors that are in no other")

    def look_up(self, store: Store, windows: WindowRange) -> None:
        """Have the counties that ``windows`` need looked up; ``store`` is free meanwhile."""
        geocoder = self._geocoder()
        if geocoder is not None:
            look_up_counties(store, geocoder, windows, self.elsewhere)

    def regions(self, connection: DuckDBPyConnection) -> Regions:
        """The regions as the pipeline takes them; counties are those that were looked up before."""
        geocoder = self._geocoder()
        if geocoder is not None:
            return county_regions(connection, geocoder, self.elsewhere)
        if self.method == "name":
            return OneRegion(self.name)
        if self.method == "polygons" and self.file is not None:
            return PolygonRegions(Path(self.file), self.elsewhere)
        raise ValueError(f"no regions by method {self.method!r} and file {self.file!r}")

    def _geocoder(self) -> Geocoder | None:
        match self.method:
            case "county":
                return NearestTown()
            case "nominatim":
                return NominatimServer(self.nominatim_url, self.nominatim_user_agent)
        return None
