"""Ordinary messages are decoded together, to exactly what each would give alone."""

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

from aqi_dagster.message_fields import MASSES, OPTIONAL_NUMBERS, OWN_NAMES, PM25_FIELD, FieldNames
from aqi_dagster.pipeline.decoding.definition import decode_value
from aqi_dagster.pipeline.decoding.fast_path import scan
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from aqi_dagster.pipeline.decoding.value_schema import VALUE_SCHEMA
from tests.support.spoiled_messages import change, ordinary, spoil_text

TIME = "2022-07-18 06:00:00 UTC"


def alone(value: bytes, names: FieldNames = OWN_NAMES) -> dict[str, Any] | None:
    """What ``value`` holds by definition, whatever the time is; None if it is no reading."""
    try:
        reading = decode_value(value, datetime.max, timedelta(), names)  # noqa: DTZ901 (naive UTC)
    except RejectedMessageError:
        return None
    return {
        column: value for column, value in (vars(reading) | reading.optional).items() if column in VALUE_SCHEMA.names
    }


def together(values: Sequence[bytes], names: FieldNames = OWN_NAMES) -> list[dict[str, Any] | None]:
    """What each of ``values`` holds if it is an ordinary reading; None if it is not."""
    taken, decoded = scan(pa.chunked_array([values[:2], values[2:]], pa.binary()), names)
    assert decoded.schema == VALUE_SCHEMA
    found = iter(decoded.to_pylist())
    return [next(found) if fit else None for fit in taken]


def assert_taken_as_defined(values: Sequence[bytes], names: FieldNames = OWN_NAMES) -> int:
    """Compare those of ``values`` that are taken together with the definition; their number."""
    taken = 0
    for value, found in zip(values, together(values, names), strict=True):
        if found is not None:
            taken += 1
            expected = alone(value, names)
            assert expected is not None, value
            # As text, in which 0.0 and -0.0 differ.
            assert repr(sorted(found.items())) == repr(sorted(expected.items())), value
    return taken


TEXTS = ('"created_at"', '"note"', '"sensor_name"')


def family(random: Random) -> tuple[bytes, list[bytes]]:
    """A faultless message, and others of its shape of which most have one fault."""
    fields = ordinary(random)
    fields += [('"Humidity"', '"40"')] * random.randint(0, 1) + [('"note"', '"a, b: {c}"')] * random.randint(0, 1)
    fields += [('"online"', random.choice(["true", "null"]))] * random.randint(0, 1)
    random.shuffle(fields)
    bare = random.choice([0.0, 0.3])
    fields = [
        (name, text.strip('"') if name not in TEXTS and random.random() < bare else text) for name, text in fields
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
    assert assert_taken_as_defined([sample, *others]) > 0


def test_most_messages_that_are_readings_are_taken() -> None:
    random = Random(3)  # noqa: S311 (no secret)
    taken = readings = 0
    for _ in range(200):
        _, others = family(random)
        taken += assert_taken_as_defined(others)
        readings += sum(is_whole(other) for other in others)
    assert 0.8 * readings < taken < readings


def is_whole(value: bytes) -> bool:
    """Whether ``value`` is a reading of which no field had to be emptied."""
    try:
        return not decode_value(value, datetime.max, timedelta()).emptied  # noqa: DTZ901 (naive UTC)
    except RejectedMessageError:
        return False


def test_all_real_messages_are_taken(portland: Path) -> None:
    with gzip.open(portland, "rt", encoding="utf-8") as lines:
        values = [json.dumps(json.loads(line)["value"]).encode() for line in islice(lines, 0, None, 100)]
    assert assert_taken_as_defined(values) == len(values) > 3_000


@given(numbers=st.lists(st.floats(-1e15, 1e15), min_size=1), quoted=st.booleans())
def test_numbers_of_any_length_are_read_as_a_parser_reads_them(numbers: list[float], quoted: bool) -> None:
    texts = [f"{number:.40f}"[:40].rstrip(".") if number == round(number, 3) else repr(number) for number in numbers]
    values = [reading(**{"Temperature_F": text if quoted else "@"}).replace(b'"@"', text.encode()) for text in texts]
    in_plain = sum("e" not in text for text in texts)
    assert in_plain <= assert_taken_as_defined(values) + sum(alone(value) is None for value in values)


def test_messages_may_hold_nothing_but_long_numbers() -> None:
    fields = dict.fromkeys(OPTIONAL_NUMBERS.values(), "-7.9499999999999999") | {PM25_FIELD: 7.949999999999999}
    assert assert_taken_as_defined([reading(**fields)] * 100) == 100


def reading(**fields: object) -> bytes:
    """A message value with these further fields."""
    return json.dumps({"created_at": TIME, PM25_FIELD: "7.5"} | fields, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(reading(), id="the required fields alone"),
        pytest.param(reading(entry_id=-7, rssi=None, **{"Humidity_%": None, "Humidity": "40.5"}), id="other types"),
        pytest.param(reading(**{"Humidity_%": "", "Humidity": 40, "Temperature_F": ""}), id="empty texts"),
        pytest.param(
            reading(place="S\u00e3o Paulo", online=True, broken=False, note=None, floor=-1.5), id="unknown ones"
        ),
        pytest.param(b" \r\n\t" + json.dumps(json.loads(reading(a=1)), indent=2).encode() + b"\n", id="white space"),
        pytest.param(reading(entry_id="9" * 18, UptimeMinutes="0" * 30 + "1.5"), id="many digits"),
        pytest.param(reading(**{"Temperature_F": "-0", "RSSI_dbm": -0.0}), id="negative zeros"),
        pytest.param(reading().replace(b"2022-07-18", b"2024-02-29"), id="a leap day"),
        pytest.param(reading(created_at="2022-07-18T06:00:00Z"), id="ISO time"),
        pytest.param(reading(created_at="2022-07-18 06:00:00+00:00"), id="ISO time with offset"),
        pytest.param(reading(entry_id=" 7 ", RSSI_dbm="+5", **{"Temperature_F": ".5", "Humidity_%": "5."}), id="lax"),
        pytest.param(
            reading(entry_id="+7", RSSI_dbm="  ", **{"Temperature_F": " -0.5 ", "Humidity_%": "+.5"}), id="laxer"
        ),
        pytest.param(reading(sensor_index=30001, sensor_name="Alder (Creek) B", location_type=1), id="an index"),
        pytest.param(reading(sensor_index="7", sensor_name="S\u00e3o", location_type="0"), id="an index as text"),
        pytest.param(reading(a="?").replace(b'"?"', b"1" * 5_000), id="an unknown integer of any length"),
        pytest.param(reading(sensor_index=None, sensor_name="", location_type=None), id="no index"),
        pytest.param(reading(**{"PM2.5_CF1_B_ug/m3": "100000", "PM1.0_CF1_ug/m3": -1e5}), id="the most of a mass"),
    ],
)
def test_ordinary_messages_are_taken(value: bytes) -> None:
    assert assert_taken_as_defined([value, value]) == 2


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(reading()[:-1], id="cut off"),
        pytest.param(reading() + reading(), id="two in one"),
        pytest.param(reading(entry_id="x"), id="no number"),
        pytest.param(reading(entry_id="1" * 19), id="too many digits"),
        pytest.param(reading(place={"altitude": "3"}), id="nested"),
        pytest.param(reading(place={PM25_FIELD: "900"})[:-1] + b', "place": 1}', id="nested in a repeated field"),
        pytest.param(reading(**{"Humidity_%": "40", "Humidity": False}), id="no number where it does not matter"),
        pytest.param(reading(note='"'), id="escaped"),
        pytest.param(reading(note="?").replace(b"?", b"\xff"), id="not UTF-8"),
        pytest.param(reading(note="?").replace(b"?", b"\xed\xa0\x80"), id="half a character"),
        pytest.param(reading(rssi=1e-7), id="exponent"),
        pytest.param(reading().replace(b"07-18", b"02-29"), id="no leap day"),
        pytest.param(reading().replace(b'"7.5"', b'""'), id="empty"),
        pytest.param(reading(a="?").replace(b'"?"', b"01"), id="idle zero"),
        *[
            pytest.param(reading(**{name: number}), id=f"{name} {number}")
            for name in (PM25_FIELD, *MASSES.values())
            for number in (100_001, "-100000.5", "1" + "0" * 20, "100000." + "1" * 20)
        ],
        *[pytest.param(reading(sensor_index=index), id=f"index {index}") for index in (-7, 7.5, "nan", "1" * 19)],
        *[pytest.param(reading(location_type=kind), id=f"location {kind}") for kind in (2, -1, 0.5, "inside")],
        *[
            pytest.param(reading(sensor_name=name), id=f"name {str(name)[:9]!r}")
            for name in (" Alder", "Alder ", "Al  der", "x" * 201, "Al\x7fder", 7, ["Alder"])
        ],
        *[
            pytest.param(reading(created_at=f"2022-07-18{time}"), id=f"time {time}")
            for time in (
                "T06:00:00.0Z",
                "T06:00:00",
                " 06:00:00 CET",
                "T06:00:00+01:00",
                "X06:00:00Z",
                " 06:00:00  UTC",
            )
        ],
        *[pytest.param(reading(RSSI_dbm=text), id=f"text {text}") for text in ("+", ".", "+-5", "5 5", "- 5", "..5")],
    ],
)
def test_all_others_are_left_alone(value: bytes) -> None:
    assert together([value, reading()])[0] is None


def test_values_are_found_in_a_part_of_an_array() -> None:
    values = pa.chunked_array(
        [[b"", reading(entry_id=1), b"", reading(entry_id=2)], [reading(entry_id=3), None]], pa.binary()
    )
    taken, found = scan(values.slice(2))
    assert taken.tolist() == [False, True, True, False]
    assert found["entry_id"].to_pylist() == [2, 3]
    assert scan(values.slice(6))[1].num_rows == 0


def test_names_are_found_in_their_rows_whatever_is_left_alone_between_them() -> None:
    values = [
        reading(sensor_name="Alder"),
        reading(sensor_name="Birch", RSSI_dbm="nan"),
        reading(),
        reading(sensor_name="Cedar")[:-1],
        reading(sensor_name="?").replace(b"?", b"\xff"),
        reading(sensor_name="\u00c5sp"),
        reading(sensor_name="Alder"),
    ]
    taken, found = scan(pa.chunked_array([values[:3], values[3:]], pa.binary()))
    assert taken.tolist() == [True, False, True, False, False, True, True]
    assert found["sensor_name"].to_pylist() == ["Alder", None, "\u00c5sp", "Alder"]


NAMES = FieldNames({"created_at": "t", PM25_FIELD: "Größe", "entry_id": "PM2.5", "Humidity": "a, b: {c}"})


ESCAPED = FieldNames({**NAMES.others, "RSSI_dbm": 'a "b"', "created_at": "t\\"})
"""Names of which JSON has to escape two."""


def renamed(value: bytes, names: FieldNames) -> bytes:
    """``value`` with the names of another topic."""
    for known, other in names.others.items():
        value = value.replace(json.dumps(known).encode(), json.dumps(other, ensure_ascii=False).encode())
    return value


def test_fields_are_found_by_the_names_of_the_topic() -> None:
    values = [
        json.dumps({"t": TIME, "Größe": 7, "RSSI_dbm": "5"}, ensure_ascii=False).encode(),
        json.dumps({"t": TIME, "Größe": 7}).encode(),
        reading(),
    ]
    taken, found = scan(pa.chunked_array([values], pa.binary()), NAMES)
    assert taken.tolist() == [True, False, False]
    assert (found["pm25_cf1"].to_pylist(), found["rssi"].to_pylist()) == ([7], [5])
    assert [alone(value, NAMES) is not None for value in values] == [True, True, False]


def test_a_name_that_json_escapes_is_found_where_it_is_escaped_and_nowhere_else() -> None:
    escaped = renamed(reading(RSSI_dbm=5), ESCAPED)
    for value, rssi in [(escaped, 5), (escaped.replace(b'\\"b\\"', b'"b"'), None), (escaped.replace(b"\\", b""), None)]:
        assert_taken_as_defined([value] * 3, ESCAPED)
        found = alone(value, ESCAPED)
        assert (found["rssi"] if found else None) == rssi


@given(seed=st.integers(0, 2**32))
def test_messages_of_another_topic_are_taken_by_definition_and_as_those_of_ours(seed: int) -> None:
    sample, others = family(Random(seed))  # noqa: S311 (no secret)
    assert together([renamed(sample, NAMES)] * 3, NAMES)[-1] == together([sample] * 3)[-1] is not None
    for names in (NAMES, ESCAPED):
        assert_taken_as_defined([renamed(value, names) for value in (sample, *others)], names)
