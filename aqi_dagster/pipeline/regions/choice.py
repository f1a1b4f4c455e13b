"""The kind of regions that the settings choose."""

from dataclasses import dataclass
from pathlib import Path

from duckdb import DuckDBPyConnection

from aqi_dagster.pipeline.regions.base import Geocoder, OneRegion, Regions
from aqi_dagster.pipeline.regions.counties import county_regions
from aqi_dagster.pipeline.regions.geocoding import NearestTown, NominatimServer


@dataclass(frozen=True)
class RegionChoice:
    """How sensors are gathered into regions: by ``method`` name, polygons, county or nominatim.

    ``name`` is the region of all sensors, ``file`` the GeoJSON file of polygons, ``nominatim_url`` the server, and
    ``nominatim_user_agent`` names us to it. Sensors in no region belong to ``elsewhere``.
    """

    method: str
    name: str
    file: Path | None
    nominatim_url: str
    nominatim_user_agent: str
    elsewhere: str

    def geocoder(self) -> Geocoder | None:
        """The geocoder of this method, or None if the regions are not counties."""
        match self.method:
            case "county":
                return NearestTown()
            case "nominatim":
                return NominatimServer(self.nominatim_url, self.nominatim_user_agent)
        return None

    def regions(self, connection: DuckDBPyConnection) -> Regions:
        """The regions; of counties those that were looked up before.

        Raises :class:`~aqi_dagster.errors.ConfigurationError` if the file of polygons cannot be used.
        """
        geocoder = self.geocoder()
        if geocoder is not None:
            return county_regions(connection, geocoder, self.elsewhere)
        if self.method == "name":
            return OneRegion(self.name)
        if self.method == "polygons" and self.file is not None:
            # Not imported above: Shapely takes a tenth of a second that only polygons are worth.
            from aqi_dagster.pipeline.regions.polygons import PolygonRegions

            return PolygonRegions(self.file, self.elsewhere)
        raise ValueError(f"no regions by method {self.method!r} and file {self.file!r}")
