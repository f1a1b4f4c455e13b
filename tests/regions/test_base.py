"""Regions by name and by polygons, and what other regions do to windows that were classified."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aqi_dagster.assets.regional_windows import regional_windows
from aqi_dagster.errors import ConfigurationError
from aqi_dagster.pipeline.regions.base import OneRegion
from aqi_dagster.pipeline.regions.polygons import PolygonRegions
from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.resources.detectors import ThresholdsResource
from aqi_dagster.resources.regions import RegionsResource
from aqi_dagster.resources.rules import RulesResource
from aqi_dagster.resources.warehouse import WarehouseResource
from aqi_dagster.windows import window_key
from tests.support.messages import FIRST_WINDOW
from tests.support.nominatim_server import answer, nominatim_server
from tests.support.tables import rows
from tests.support.verdicts import SMOKE, find

ELSEWHERE = "Elsewhere"

NO_PLACE = ["roof", "", "45.5", "91, 0", "0, 181", "45,5, 122"]


def square(west: float, south: float, size: float) -> list[list[float]]:
    """The ring of a square, in degrees."""
    east, north = west + size, south + size
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(name: Any, geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry}


def polygon(name: Any, *rings: list[list[float]]) -> dict[str, Any]:
    return feature(name, {"type": "Polygon", "coordinates": rings})


def geojson(folder: Path, *features: Any) -> Path:
    file = folder / "regions.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def test_one_region_holds_every_sensor() -> None:
    assert {OneRegion("here").region_of(sensor) for sensor in ["45.5, -122.6", *NO_PLACE]} == {"here"}


def test_a_sensor_belongs_to_the_polygon_that_holds_it(tmp_path: Path) -> None:
    islands = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 1)], [square(5, 5, 1)]]}
    lake = polygon("Round the Lake", square(10, 10, 10), square(14, 14, 2))
    regions = PolygonRegions(geojson(tmp_path, feature("Islands", islands), lake), ELSEWHERE)
    # Sensors are latitude first, GeoJSON is longitude first.
    expected = {
        "0.5, 0.5": "Islands",
        "5.5, 5.1": "Islands",
        "3, 3": ELSEWHERE,
        "11, 19": "Round the Lake",
        "15, 15": ELSEWHERE,
        "11, 25": ELSEWHERE,
        "25, 11": ELSEWHERE,
    } | dict.fromkeys(NO_PLACE, ELSEWHERE)
    assert {sensor: regions.region_of(sensor) for sensor in expected} == expected


def test_where_polygons_overlap_or_meet_the_first_in_the_file_holds_the_sensor(tmp_path: Path) -> None:
    small, large, beside = (
        polygon("small", square(1, 1, 1)),
        polygon("large", square(0, 0, 4)),
        polygon("beside", square(4, 0, 4)),
    )
    sensors = ["1.5, 1.5", "3, 3", "2, 4"]
    regions = PolygonRegions(geojson(tmp_path, small, large, beside), ELSEWHERE)
    assert [regions.region_of(sensor) for sensor in sensors] == ["small", "large", "large"]
    regions = PolygonRegions(geojson(tmp_path, beside, large, small), ELSEWHERE)
    assert [regions.region_of(sensor) for sensor in sensors] == ["large", "large", "beside"]


BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("features", "told"),
    [
        ([], "holds no regions"),
        ([polygon("a", square(0, 0, 1)), polygon(None, square(0, 0, 1))], "feature 2 has no name"),
        ([polygon(" ", square(0, 0, 1))], "feature 1 has no name"),
        (["a"], "feature 1 has no name"),
        ([polygon("a", square(0, 0, 1)), polygon("a", square(2, 0, 1))], "two features are named 'a'"),
        ([polygon("bow tie", BOW_TIE)], "feature 1 ('bow tie') is not a valid polygon: Self-intersection"),
        ([polygon("short", [[0, 0], [1, 1]])], "feature 1 ('short') has no geometry that can be read"),
        ([polygon("open", "everywhere")], "feature 1 ('open') has no geometry that can be read"),
        ([feature("nowhere", None)], "feature 1 ('nowhere') has no geometry that can be read"),
        ([feature("point", {"type": "Point", "coordinates": [0, 0]})], "feature 1 ('point') is a Point"),
        ([feature("empty", {"type": "Polygon", "coordinates": []})], "feature 1 ('empty')"),
        ([polygon("metres", square(500_000, 4_500_000, 10))], "feature 1 ('metres') reaches beyond the globe"),
        ([polygon("swapped", square(38, -121, 1))], "feature 1 ('swapped') reaches beyond the globe"),
    ],
)
def test_a_feature_that_is_no_named_polygon_is_refused_by_name(tmp_path: Path, features: list[Any], told: str) -> None:
    file = geojson(tmp_path, *features)
    with pytest.raises(ConfigurationError) as caught:
        PolygonRegions(file, ELSEWHERE)
    assert str(file) in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"type": "FeatureCollection"}', "\udcff"])
def test_a_file_that_is_no_collection_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "regions.geojson"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigurationError, match=r"regions\.geojson"):
        PolygonRegions(file, ELSEWHERE)


def materialize(store: Store, instance: dg.DagsterInstance, regions: RegionsResource) -> list[tuple[Any, ...]]:
    """Run the asset over the first window; gives the regions, verdicts and numbers of sensors that are published."""
    data_dir = str(store.published.parent)
    result = dg.materialize(
        [regional_windows],
        resources={
            "warehouse": WarehouseResource(data_dir=data_dir),
            "regions": regions,
            "thresholds": ThresholdsResource(),
            "rules": RulesResource(),
        },
        instance=instance,
        partition_key=window_key(FIRST_WINDOW),
    )
    assert result.success
    with store.reader() as connection:
        return rows(connection, "SELECT region, verdict, count_sensors FROM regional_windows ORDER BY region")


def test_a_window_is_never_lost_to_a_failing_server(store: Store, instance: dg.DagsterInstance) -> None:
    with store.exclusive() as connection:
        find(connection, FIRST_WINDOW, SMOKE)
    with nominatim_server() as nominatim:
        nominatim.counties = {(45.1, -122.0): answer(county="A"), (45.2, -122.0): answer(county="B")}
        regions = RegionsResource(method="nominatim", nominatim_url=nominatim.url, nominatim_user_agent="test")
        nominatim.status = 500
        assert materialize(store, instance, regions) == [("Elsewhere", "smoke", 2)]
        nominatim.status = 200
        expected = [("A, Oregon", "malfunction", 1), ("B, Oregon", "malfunction", 1)]
        assert materialize(store, instance, regions) == expected
        assert materialize(store, instance, regions) == expected
        assert len(nominatim.requests) == 4


def test_other_regions_replace_a_windows_old_ones_and_withdraw_what_was_told_of_them(
    store: Store, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with store.exclusive() as connection:
        find(connection, FIRST_WINDOW, SMOKE)
        connection.execute("UPDATE slack_alerts SET status = 'sent'")
    file = geojson(tmp_path, polygon("South", square(-122.1, 45, 0.15)))
    found = materialize(store, instance, RegionsResource(method="polygons", file=str(file), elsewhere="The Rest"))
    assert found == [("South", "malfunction", 1), ("The Rest", "malfunction", 1)]
    with store.reader() as connection:
        alerts = rows(connection, "SELECT region, verdict, previous_verdict, status FROM slack_alerts ORDER BY ALL")
    assert alerts == [
        ("Lake Tahoe", "smoke", None, "sent"),
        ("Lake Tahoe", "withdrawn", "smoke", "pending"),
        ("South", "malfunction", None, "pending"),
        ("The Rest", "malfunction", None, "pending"),
    ]
