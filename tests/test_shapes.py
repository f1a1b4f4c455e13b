"""Messages of one shape are decoded together, to exactly what each would give alone."""

import gzip
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqi_dagster.pipeline.messages import PM25_FIELD, VALUE_SCHEMA, RejectedMessageError, decode_value
from aqi_dagster.pipeline.shapes import shape_of
from tests.spoiled_messages import change, ordinary, spoil_text

TIME = "2022-07-18 06:00:00 UTC"


def alone(value: bytes) -> dict[str, Any] | None:
    """What ``value`` holds by definition, whatever the time is; None if it is no reading."""
    try:
        reading = decode_value(value, datetime.max, timedelta())  # noqa: DTZ901 (naive UTC)
    except RejectedMessageError:
        return None
    return {column: value for column, value in (vars(reading) | reading.optional).items() if column != "optional"}


def together(sample: bytes, values: Sequence[bytes]) -> list[dict[str, Any] | None]:
    """What each of ``values`` holds if it has the shape of ``sample``; None if it has not."""
    shape = shape_of(sample)
    assert shape is not None
    fits, decoded = shape.decode(pa.array(values, pa.binary()))
    assert decoded.schema == VALUE_SCHEMA
    found = iter(decoded.to_pylist())
    return [next(found) if fit else None for fit in fits]


def assert_taken_as_defined(sample: bytes, values: Sequence[bytes]) -> int:
    """Compare those of ``values`` that have the shape of ``sample`` with the definition; their number."""
    taken = 0
    for value, found in zip(values, together(sample, values), strict=True):
        if found is not None:
            taken += 1
            expected = alone(value)
            assert expected is not None, value
            # As text, in which 0.0 and -0.0 differ.
            assert repr(sorted(found.items())) == repr(sorted(expected.items())), value
    return taken


def family(random: Random) -> tuple[bytes, list[bytes]]:
    """A faultless message, and others of its shape of which most have one fault."""
    fields = ordinary(random)
    fields += [('"Humidity"', '"40"')] * random.randint(0, 1) + [('"note"', '"a, b: {c}"')] * random.randint(0, 1)
    fields += [('"online"', random.choice(["true", "null"]))] * random.randint(0, 1)
    random.shuffle(fields)
    bare = random.choice([0.0, 0.3])
    fields = [
        (name, text.strip('"') if name != '"created_at"' and name != '"note"' and random.random() < bare else text)
        for name, text in fields
    ]
    comma, colon = random.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])

    def joined(fields: list[tuple[str, str]]) -> bytes:
        return ("{" + comma.join(name + colon + text for name, text in fields) + "}").encode("utf-8", "surrogatepass")

    others = []
    for _ in range(40):
        spoilt = fields.copy()
        for _ in range(random.randint(0, 2)):
            change(random, spoilt)
        others.append(joined(spoilt) if random.random() < 0.8 else spoil_text(random, joined(spoilt)))
    return joined(fields), [other for other in others if other]


@given(seed=st.integers(0, 2**32))
def test_no_message_is_taken_otherwise_than_by_definition(seed: int) -> None:
    sample, others = family(Random(seed))  # noqa: S311 (no secret)
    assert assert_taken_as_defined(sample, [sample, *others]) > 0


def test_most_messages_of_a_shape_that_are_readings_are_taken() -> None:
    random = Random(3)  # noqa: S311 (no secret)
    taken = readings = 0
    for _ in range(200):
        sample, others = family(random)
        taken += assert_taken_as_defined(sample, others)
        readings += sum(alone(other) is not None for other in others)
    assert 0.5 * readings < taken < readings


def test_real_messages_have_two_shapes(portland: Path) -> None:
    with gzip.open(portland, "rt", encoding="utf-8") as lines:
        values = [json.dumps(json.loads(line)["value"]).encode() for line in islice(lines, 0, None, 100)]
    first = together(values[0], values)
    others = [value for value, found in zip(values, first, strict=True) if found is None]
    assert assert_taken_as_defined(values[0], values) + assert_taken_as_defined(others[0], others) == len(values)
    assert len(values) > 3_000
    assert others


def reading(**fields: object) -> bytes:
    """A message value with these further fields."""
    return json.dumps({"created_at": TIME, PM25_FIELD: "7.5"} | fields).encode()


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no object"),
        pytest.param(reading(entry_id="x"), id="no reading"),
        pytest.param(reading(place={"altitude": "3"}), id="nested"),
        pytest.param(reading(place={PM25_FIELD: "900"})[:-1] + b', "place": 1}', id="nested in a repeated field"),
        pytest.param(reading(**{"Humidity_%": "40", "Humidity": False}), id="no number where it does not matter"),
        pytest.param(reading(note='"'), id="escaped"),
    ],
)
def test_an_odd_message_gives_no_shape(sample: bytes) -> None:
    assert shape_of(sample) is None


def test_a_field_that_is_nested_in_others_is_not_taken_for_one_of_its_own() -> None:
    nested = b'{"created_at":"2022-07-18 06:00:00 UTC","a":{"%b":"7.5"}}' % PM25_FIELD.encode()
    flat = b'{"created_at":"2022-07-18 06:00:00 UTC","a":"","%b":"7.5"}' % PM25_FIELD.encode()
    assert together(flat, [nested, flat])[0] is None


def test_lines_that_only_together_have_the_shape_are_not_confused() -> None:
    one = reading()
    assert together(one, [one + b"\n" + one, b"\n", one])[:2] == [None, None]
    assert assert_taken_as_defined(one, [b"\n", one + b"\n" + one, one, one]) == 2
