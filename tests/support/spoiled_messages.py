"""Messages as a producer writes them, and then spoilt in all ways that came to mind; most stay nearly right."""

import json
from collections.abc import Iterable
from datetime import datetime
from random import Random
from typing import Any

from aqi_dagster.message_fields import OPTIONAL_NUMBERS, PM25_FIELD
from aqi_dagster.pipeline.decoding.definition import decode_key, decode_value
from aqi_dagster.pipeline.decoding.reasons import RejectedMessageError
from aqi_dagster.sensors import identity
from aqi_dagster.windows import window_start
from tests.support.messages import ALLOWANCE, NOW, RawMessage

Field = tuple[str, str]
"""JSON texts of the name and of the value."""

_OPTIONAL = sorted(OPTIONAL_NUMBERS.values())

_NUMBERS = [
    *["0", "7", "-0", "12.50", "-3.25", "1e2", "1E+2", "1.5e-3", "1e400", "-1e400", "1e-400", "0.1", "1.0", "100.0"],
    *["5e-324", "1.7976931348623157e308", "1.7976931348623159e308", "0.1000000000000000055511151231257827"],
    *["100000", "-100000", "100000.00000000001", "-100001", "99999.999999999999999999", "123456.5"],
    *["9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "9" * 400],
    *["1." + "3" * 30, "0." + "0" * 400 + "1", "123456789012345678", "1234567890123456789", "-999999999999999999"],
]

_NO_NUMBERS = [
    *[
        "",
        " ",
        "5 ",
        " 5",
        "+5",
        "1_000",
        "0x1A",
        "1,5",
        "1.",
        ".5",
        "01",
        "-01",
        "--1",
        "1e",
        "NaN",
        "nan",
        "inf",
        "-inf",
    ],
    *[
        "Infinity",
        "true",
        "false",
        "null",
        "5\n",
        "5\n6",
        "\n5",
        "5\r",
        "5\x00",
        "5\\",
        "\u0665",
        "\uff15",
        "1.5.2",
        "5%",
        "+5",
        "+.5",
        "-5.",
        ".",
        "+",
        "5 5",
        "+-5",
        "\\t5\\r\\n",
        "\u00a05",
    ],
]

_TIMES = [
    *["2022-07-18 00:00:00 UTC", "2022-07-18 11:59:59 UTC", "2022-07-18 12:00:00 UTC", "2022-07-31 23:59:59 UTC"],
    *["1969-12-31 23:59:59 UTC", "1899-12-31 23:59:59 UTC", "0001-01-01 00:00:00 UTC", "9999-12-31 23:59:59 UTC"],
    *["2022-09-01 00:10:00 UTC", "2022-09-01 00:10:01 UTC", "2024-02-29 00:00:00 UTC", "2022-02-29 00:00:00 UTC"],
    *["2022-02-30 00:00:00 UTC", "2022-13-01 00:00:00 UTC", "2022-07-00 00:00:00 UTC", "2022-07-18 24:00:00 UTC"],
    *["2022-07-18 23:60:00 UTC", "2022-07-18 23:59:60 UTC", "2022-07-18T00:00:00 UTC", "2022-07-18 00:00:00"],
    *["2022-07-18 00:00:00 utc", "2022-07-18 00:00:00.5 UTC", "2022-7-18 00:00:00 UTC", "2022-07-18 00:00:00 UTC "],
    *["2022-07-18T00:00:00Z", "2022-07-18T00:00:00+00:00", "2022-07-18 00:00:00+00:00", "2022-07-18T00:00:00.000Z"],
    *["2022-07-18T00:00:00.25Z", "2022-07-18T00:00:00+02:00", "2022-07-18T00:00:00", " 2022-07-18 00:00:00 UTC"],
    *["2022-07-18t00:00:00Z", "2022-07-18T00:00:00z", "2022-07-18T00:00:00+00:0", "2022-07-18T00:00:00ZZ"],
    *["2022-07-18 00:00:00Z", "2022-07-18 00:00:00  UTC", "20220-07-18 00:00:00 UTC", "2022-07-18", "now", "epoch"],
]

_RAW_VALUES = ["null", "true", "false", "NaN", "Infinity", "-Infinity", "[]", "{}", "[1.5]", '{"a": 1}', '"\\ud800"']

_RAW_VALUES += [
    '"\\u0031\\u0032"',
    '"1\\n2"',
    '"1\n2"',
    "01",
    "+1",
    "1.",
    ".5",
    "0x1A",
    "1_000",
    "'5'",
    "",
    "nan",
    '{"a": 1, "a": 2}',
]

_BYTES = [
    *[
        b" ",
        b"\n",
        b"\t",
        b"\r\n",
        b"\x00",
        b"\x0b",
        b"\xff",
        b"\xc2\xa0",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
    ],
    *[
        b",",
        b":",
        b'"',
        b"'",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b"/**/",
        b"//",
        b"#",
        b"e5",
        b"E",
        b"-",
        b"+",
        b".",
        b"0",
        b"9",
    ],
]

_KEYS = [
    *[b'"45.5, -122.6"', b'"45.5, -122.7"', b'"45.5,-122.6"', b' "45.5, -122.6"\n', b'"\\u0034\\u0035.5, -122.6"'],
    *[b"45.5, -122.6", b" 45.5,-122.6", b'"45.5,\\n-122.6"', b'"45.50, -122.6"', None],
    *[b"", b'"45.5, -122.6', b"'45.5, -122.6'", b'"91, 0"', b'"0, 181"', b'"45.5"', b"[45.5, -122.6]", b'"45.5, \xff"'],
    *[
        b"null",
        b'"-122.6, 45.5"',
        b'"\\"45.5, -122.6\\""',
        b'\x00\x00\x00\x00\x01"45.5, -122.6"',
        b'"45.' + b"5" * 300 + b', 1"',
    ],
]

_PURPLEAIR = {
    "sensor_index": ["7", "30001", "+7", "7.0", "-7", "7.5", "nan", "", " 7", "1234567890123456789"],
    "sensor_name": ["Alder", " Alder ", "Alder  Creek", "S\u00e3o", "", "x" * 201, "a\x7fb", "a\nb", "\ud800", "7"],
    "location_type": ["0", "1", "2", "0.5", "inside", "", " 1", "1.0", "-0", "-1"],
}


def ordinary(random: Random) -> list[Field]:
    """The fields of a message without fault."""
    created_at = f"2022-07-{random.randint(18, 31)} {random.randint(0, 23):02}:{random.randint(0, 59):02}:00 UTC"
    fields = {"created_at": created_at, "entry_id": str(random.randint(1, 99999))}
    fields |= {name: f"{random.uniform(-99, 999):.2f}" for name in [PM25_FIELD, *_OPTIONAL]}
    for name in random.sample(_OPTIONAL, random.randint(0, 4)):
        del fields[name]
    if random.random() < 0.3:
        fields |= {"sensor_index": random.choice(["7", "30001"]), "sensor_name": "Alder", "location_type": "0"}
    return [(json.dumps(name), json.dumps(text)) for name, text in fields.items()]


def spoiled(random: Random) -> RawMessage:
    """A message with few faults or none, in its fields, its text or its key."""
    fields = ordinary(random)
    for _ in range(random.choices([0, 1, 2], weights=[2, 4, 1])[0]):
        random.choice([_drop, _repeat, _rename, change, change, change, change])(random, fields)
    value = _joined(random, fields).encode("utf-8", "surrogatepass")
    if random.random() < 0.2:
        value = spoil_text(random, value)
    if random.random() < 0.02:
        value = random.choice(
            [
                b"\x00\x00\x00\x00\x01" + value,
                b"\xef\xbb\xbf" + value,
                json.dumps(value.decode(errors="replace")).encode(),
                b"[" + value + b"]",
            ]
        )
    key = random.choice(_KEYS) if random.random() < 0.1 else _KEYS[random.randint(0, 1)]
    return key, value if random.random() < 0.99 else None


def by_definition(
    messages: Iterable[RawMessage], now: datetime = NOW
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Readings and rejected messages as :mod:`~.decoding.definition` alone makes them; each with its number."""
    accepted, rejected = [], []
    for number, (key, value) in enumerate(messages):
        try:
            place, reading = decode_key(key), decode_value(value, now, ALLOWANCE)
        except RejectedMessageError as reason:
            rejected.append((number, str(reason), key, value))
        else:
            start = window_start(reading.created_at)
            sensor = identity(place, reading.sensor_index)
            required = (number, sensor, reading.created_at, start, reading.pm25_cf1, reading.entry_id)
            accepted.append((*required, *reading.optional.values()))
    return accepted, rejected


def _joined(random: Random, fields: list[Field]) -> str:
    comma, colon = random.choice([(",", ":"), (", ", ": "), ("\n,", " :\t")])
    before, after = random.choice(
        [("{", "}")] * 20 + [("{ ", " }"), ("{", ",}"), (" {", "}\n"), ("[{", "}]"), ("{", "}{}")]
    )
    return before + comma.join(name + colon + text for name, text in fields) + after


def _drop(random: Random, fields: list[Field]) -> None:
    fields.pop(random.randrange(len(fields)))


def _repeat(random: Random, fields: list[Field]) -> None:
    name, text = random.choice(fields)
    fields.insert(random.randint(0, len(fields)), (name, random.choice([text, '"1"', "null", '""'])))


def _rename(random: Random, fields: list[Field]) -> None:
    place = random.randrange(len(fields))
    name, text = fields[place]
    escaped = name.replace("e", "\\u0065").replace("2", "\\u0032")
    others = [name.lower(), name.upper(), name[:-1] + ' "', '"unknown"', '""', '"Humidity"', '"entry_id"', "a", escaped]
    fields[place] = (random.choice(others), text)


def change(random: Random, fields: list[Field]) -> None:
    place = random.randrange(len(fields))
    name = fields[place][0]
    kind = random.randrange(6)
    if name == '"created_at"' and kind < 5:
        text = json.dumps(random.choice(_TIMES))
    elif name.strip('"') in _PURPLEAIR and kind < 5:
        text = json.dumps(random.choice(_PURPLEAIR[name.strip('"')]), ensure_ascii=random.random() < 0.5)
        text = text if random.random() < 0.7 else text.strip('"')
    elif kind < 2:
        text = random.choice(_NUMBERS)
    elif kind < 4:
        text = json.dumps(random.choice(_NUMBERS))
    elif kind < 5:
        text = json.dumps(random.choice(_NO_NUMBERS), ensure_ascii=random.random() < 0.5)
    else:
        text = random.choice(_RAW_VALUES)
    fields[place] = (name, text)


def spoil_text(random: Random, value: bytes) -> bytes:
    place = random.randint(0, len(value))
    kind = random.randrange(4)
    if kind == 0:
        return value[:place] + value[place + 1 :]
    if kind == 1 and place < len(value):
        return value[:place] + bytes([value[place] ^ (1 << random.randrange(8))]) + value[place + 1 :]
    if kind == 2:
        place = random.choice([0, len(value), len(value) - 1])
    return value[:place] + random.choice(_BYTES) + value[place:]
