"""Regions as a Dagster resource."""

from pathlib import Path

import dagster as dg
from duckdb import DuckDBPyConnection
from pydantic import Field

from aqi_dagster.pipeline.geocoding import NearestTown, NominatimServer
from aqi_dagster.pipeline.polygons import PolygonRegions
from aqi_dagster.pipeline.regions import GeocodedRegions, OneRegion, Regions


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

    def regions(self, connection: DuckDBPyConnection) -> Regions:
        """The regions as the pipeline takes them; counties that were looked up are kept behind ``connection``."""
        match self.method, self.file:
            case "name", _:
                return OneRegion(self.name)
            case "polygons", str(file):
                return PolygonRegions(Path(file), self.elsewhere)
            case "county", _:
                return GeocodedRegions(connection, NearestTown(), self.elsewhere)
            case "nominatim", _:
                server = NominatimServer(self.nominatim_url, self.nominatim_user_agent)
                return GeocodedRegions(connection, server, self.elsewhere)
        raise ValueError(f"no regions by method {self.method!r} and file {self.file!r}")
