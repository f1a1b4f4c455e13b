"""What a message says of its sensor: index, name, outside or inside."""

import json

import pytest

from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from tests.support.message_values import decode, with_field


@pytest.mark.parametrize("text", ["1.5", '"x"', "true", json.dumps("9" * 19), "[]", '"nan"', "1e3", '"30 001"'])
def test_a_sensor_index_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RejectedMessageError, match=r"^sensor_index is not a whole number$"):
        decode(with_field("sensor_index", text))


def test_a_negative_sensor_index_is_refused() -> None:
    with pytest.raises(RejectedMessageError, match=r"^sensor_index is negative$"):
        decode(with_field("sensor_index", "-1"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('"Alder"', "Alder"),
        ('" Alder \\n Creek\\t"', "Alder Creek"),
        ('"S\u00e3o Paulo"', "S\u00e3o Paulo"),
        ("7", "7"),
    ],
)
def test_a_name_has_its_white_space_evened_out(text: str, name: str) -> None:
    assert decode(with_field("sensor_name", text)).sensor_name == name


@pytest.mark.parametrize(("text", "location"), [("0", 0), ("1", 1), ('"1"', 1), ("1.0", 1), ('" 0 "', 0)])
def test_a_sensor_is_outside_or_inside(text: str, location: int) -> None:
    assert decode(with_field("location_type", text)).location_type == location
