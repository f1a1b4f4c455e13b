"""Regions as named polygons of a GeoJSON file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from aqi_dagster.errors import ConfigurationError
from aqi_dagster.sensors import coordinates


class PolygonRegions:
    """A sensor belongs to the first polygon of the file that holds it, its border included, or else to ``elsewhere``.

    The file is a GeoJSON FeatureCollection (longitude and latitude in degrees) of polygons and multipolygons, each
    with a property ``name`` of its own. Raises :class:`ConfigurationError` that names the first feature that breaks
    this rule.
    """

    def __init__(self, file: Path, elsewhere: str) -> None:
        self._elsewhere = elsewhere
        polygons: dict[str, shapely.Geometry] = {}
        for name, polygon in _features(file):
            if name in polygons:
                raise ConfigurationError(
                    f"{file}: two features are named {name!r}. Make them one MultiPolygon, or give each its own name."
                )
            polygons[name] = polygon
        self._names = list(polygons)
        self._tree = shapely.STRtree(list(polygons.values()))
        self._shapes = [shapely.to_wkb(polygon, hex=True) for polygon in polygons.values()]

    @property
    def settings(self) -> Sequence[str]:
        """Names and shapes of the polygons, in order, and the leftover region."""
        return ["polygons", *self._names, *self._shapes, self._elsewhere]

    def region_of(self, sensor: str) -> str:
        """Name of the polygon that holds ``sensor``, or the leftover region."""
        place = coordinates(sensor)
        if place is None:
            return self._elsewhere
        latitude, longitude = place
        numbers = self._tree.query(shapely.Point(longitude, latitude), predicate="intersects")
        return self._names[numbers.min()] if len(numbers) else self._elsewhere

    known_region_of = region_of


def _features(file: Path) -> Iterator[tuple[str, shapely.Geometry]]:
    """The name and the polygon of each feature in ``file``."""
    try:
        collection = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The regions cannot be read from {file}: {error}. AQI_REGION_FILE must name a GeoJSON file."
        ) from error
    features = collection.get("features") if isinstance(collection, dict) else None
    if not isinstance(features, list) or not features:
        raise ConfigurationError(f"{file} holds no regions: it must be a GeoJSON FeatureCollection of polygons.")
    for number, feature in enumerate(features, 1):
        yield _feature(f"{file}: feature {number}", feature)


def _feature(where: str, feature: Any) -> tuple[str, shapely.Geometry]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f'{where} has no name: give it a text property "name".')
    where = f"{where} ({name!r})"
    try:
        polygon = shapely.force_2d(shape(feature["geometry"]))
    except (ShapelyError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{where} has no geometry that can be read: {error!r}. Mend or remove it.") from error
    if polygon.geom_type not in ("Polygon", "MultiPolygon") or polygon.is_empty:
        raise ConfigurationError(f"{where} is a {polygon.geom_type}, not a Polygon or MultiPolygon with an area.")
    if not polygon.is_valid:
        reason = shapely.is_valid_reason(polygon)
        raise ConfigurationError(f"{where} is not a valid polygon: {reason}. Mend its ring.")
    west, south, east, north = polygon.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise ConfigurationError(
            f"{where} reaches beyond the globe: {polygon.bounds}. Coordinates must be longitude, latitude in degrees."
        )
    return name, polygon
