"""What a sensor is called, and where it is."""

import pytest

from aqi_dagster.sensors import coordinates, devices, even_spelling, identity


@pytest.mark.parametrize("place", ["45.5, -122.6", "45.50,-122.60", " 045.5 , -122.6", "-90, 180", "90.000, -180"])
def test_an_even_spelling_stays_as_it_is_and_names_the_same_place(place: str) -> None:
    even = even_spelling(place)
    assert even is not None
    assert even_spelling(even) == even
    assert coordinates(even) == coordinates(place)
    assert even.replace(" ", "") == place.replace(" ", "")


@pytest.mark.parametrize("text", ["", "here", "45.5", "45.5 -122.6", "45.5, -122.6, 3", "91, 0", "0, 180.1", "1e1, 0"])
def test_what_is_no_place_has_no_spelling(text: str) -> None:
    assert even_spelling(text) is None
    assert coordinates(text) is None


def test_an_index_tells_apart_what_is_at_one_place() -> None:
    place = "45.5, -122.6"
    sensors = [identity(place, index) for index in (None, 7, 30001)]
    assert sensors == [place, "45.5, -122.6 #7", "45.5, -122.6 #30001"]
    assert [coordinates(sensor) for sensor in sensors] == [(45.5, -122.6)] * 3
    assert [even_spelling(sensor) for sensor in sensors] == [place, None, None]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["45.5, -122.6", "45.50, -122.6"], 1),
        (["45.5, -122.6", "45.5, -122.60", "045.500, -122.600"], 1),
        (["0, 5", "-0.0, 5.0"], 1),
        (["45.5, -122.6", "45.5, -122.61"], 2),
        (["45.5, -122.6", "45.5, 122.6"], 2),
        (["45.5, -122.6 #7", "45.50, -122.6 #7"], 1),
        (["45.5, -122.6 #7", "45.5, -122.6 #30001"], 2),
        (["45.5, -122.6", "45.5, -122.6 #7"], 1),
        (["45.5, -122.6", "45.5, -122.6 #7", "45.5, -122.6 #8"], 2),
        (["45.5, -122.6 #7", "45.6, -122.6 #7"], 2),
        (["of an older release", "of an older release 2"], 2),
        ([], 0),
    ],
)
def test_texts_of_one_place_and_index_are_one_device(texts: list[str], found: int) -> None:
    for order in (texts, texts[::-1]):
        gathered = devices(order)
        assert len(gathered) == found
        assert sorted(text for device in gathered for text in device) == sorted(texts)
