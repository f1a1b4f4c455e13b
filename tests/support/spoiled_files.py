"""Files as PurpleAir and its sensors write them, and then spoilt in the ways that files are."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.support import slow_files
from tests.support.sensor_files import COLUMNS, name
from tests.support.slow_files import Message

PLACES = {30001: ("45.5", "-122.60"), 30002: ("45.50", "-122.61")}
"""The sensors of the list."""

CARD = ("45.5", "-122.60")

_CELLS = [
    *["", " ", "nan", "NaN", "null", "inf", "-", "+5", ".5", "5.", " 5 ", "5e1", "1_000", "abc", "\u0665", "100001"],
    *["-100000", "1e400", '"5"', '"5', '5"', '"5,5"', '"5""5"', "5;5", "\x00", "0x1A", "--5", "5\t", "True"],
]
_TIMES = [
    *["2022-07-18 06:00:00 UTC", "2022-07-18T06:00:00Z", "2022-07-18T06:00:00+00:00", "2022-07-18T08:00:00+02:00"],
    *["2022/07/18T06:00:00z", "1658124000", "1658124000.0", "1658124000000", "2022-07-18 06:00:00", "20220718", ""],
    *["2022-07-18T06:00:00.000Z", "2022-07-18T06:00:00.5Z", "2022-02-30T06:00:00Z", "2022-07-18T24:00:00Z", "soon"],
    *["2022-07-18 06:00:00UTC", "2022-07-18T06:00:00+99:00", "2022-07-17T23:00:00-0700", "2099-01-01 00:00:00 UTC"],
]
_NUMBERS = [*["5", "12.34", "0.0", "700", "-1", "99.999999999999999"], *_CELLS[9:13]]
_BYTES = [b",", b'"', b"\n", b"\r", b"\x00", b"\xff", b" ", b"{", b"}", b"\\", b";", b"0"]


@dataclass(frozen=True)
class SpoiledFile:
    """A file's name and bytes, what they mean, and how many lines must be accounted for, if it is one by lines."""

    name: str
    data: bytes
    meaning: Callable[[], Iterator[Message]]
    lines: int | None = None


def spoiled_file(random: Random) -> SpoiledFile:
    """A file of any kind, with a few faults or none."""
    return random.choice([_classic, _classic, _seed, _history, _card, _own_json, _api_json, _ndjson])(random)


def _classic(random: Random) -> SpoiledFile:
    file = name(random.choice(["Alder", "Site B", "A (b) c"]), "45.5 -122.6", random.choice(["(outside)", "(inside)"]))
    columns = random.sample(COLUMNS, len(COLUMNS)) if random.random() < 0.2 else [*COLUMNS]
    data = _table(random, columns, "created_at", trailing=random.random() < 0.7)
    return SpoiledFile(file, data, lambda: slow_files.classic(file, data), slow_files.lines_of_table(data))


def _seed(random: Random) -> SpoiledFile:
    files = [name("Alder", "45.5 -122.6"), name("Birch", "45.6 -122.6", "(inside)"), "nowhere.csv"]
    columns = [*COLUMNS, random.choice(["sensor", ""])]
    # The first row has to be one of a download, or nobody could tell what the file is.
    data = _table(random, columns, "created_at", last=[files[0], *files, *files[:2]])
    return SpoiledFile("all.csv", data, lambda: slow_files.seed(data), slow_files.lines_of_table(data))


def _history(random: Random) -> SpoiledFile:
    columns = ["time_stamp", "humidity", "temperature", "pm2.5_cf_1", "pm10.0_cf_1"]
    columns += random.sample(["pm2.5_cf_1_a", "pm2.5_cf_1_b", "sensor_index"], random.randint(0, 3))
    data = _table(random, columns, "time_stamp")
    file = random.choice(["30001 2022-07-18 2022-07-19 10-Minute Average.csv", "30002.csv"])
    return SpoiledFile(file, data, lambda: slow_files.history(file, data, PLACES), slow_files.lines_of_table(data))


def _card(random: Random) -> SpoiledFile:
    columns = ["UTCDateTime", "mac_address", "current_temp_f", "current_humidity", "adc", "pm2_5_cf_1", "pm2_5_atm"]
    columns += ["pm2_5_cf_1_b"] * random.randint(0, 1)
    data = _table(random, columns, "UTCDateTime")
    return SpoiledFile(
        f"card ({' '.join(CARD)}).csv", data, lambda: slow_files.card(CARD, data), slow_files.lines_of_table(data)
    )


def _own_json(random: Random) -> SpoiledFile:
    documents = []
    for number in range(random.randint(1, 6)):
        document: dict[str, Any] = {
            "SensorId": "0:0:1",
            "DateTime": f"2022/07/18T06:{number:02}:00z",
            "lat": 45.5,
            "lon": -122.6,
        }
        document |= {field: _value(random) for field in ("pm2_5_cf_1", "pm2_5_atm", "pm2_5_cf_1_b", "current_temp_f")}
        if random.random() < 0.2:
            document["DateTime"] = random.choice(_TIMES)
        if random.random() < 0.1:
            del document[random.choice([*document][2:])]
        documents.append(json.dumps(document))
    text = random.choice(["\n".join(documents), "".join(documents), "[" + ", ".join(documents) + "]"])
    data = text.encode("utf-8", "surrogatepass")
    return SpoiledFile("own.json", data, lambda: slow_files.own_json(data))


def _api_json(random: Random) -> SpoiledFile:
    names = [
        "sensor_index",
        "last_seen",
        "latitude",
        "longitude",
        "humidity",
        "pm2.5_cf_1_a",
        "pm2.5_cf_1_b",
        "location_type",
    ]
    rows = []
    for number in range(random.randint(1, 8)):
        row: list[Any] = [31000 + number, 1658124000 + number, 45.5, -122.6 - number]
        row += [_value(random) for _ in names[4:7]] + [random.choice([0, 1, None, 2])]
        if random.random() < 0.2:
            row[random.randrange(1, len(row))] = random.choice([None, "x", 5, *_TIMES])
        rows.append(row[: random.choice([8] * 9 + [7])])
    data = json.dumps({"time_stamp": 1658127600, "fields": names, "data": rows}).encode()
    return SpoiledFile("answer.json", data, lambda: slow_files.api_json(data))


def _ndjson(random: Random) -> SpoiledFile:
    lines = []
    for number in range(random.randint(1, 12)):
        value = {"created_at": f"2022-07-18 06:{number:02}:00 UTC", "PM2.5_CF1_ug/m3": _value(random), "note": '{}\\"'}
        line = {"key": random.choice(["45.5, -122.6", "45.5,-122.6", "45.50,\n-122.6", "here"]), "value": value}
        text = json.dumps(line, separators=random.choice([(",", ":"), (", ", ": "), (" , ", " :")]))
        if random.random() < 0.1:
            text = text[:-1] + random.choice(
                [', "key": "1, 1"}', ', "more": {"key": "1, 1"}}', ', "value": {}}', "}}", ""]
            )
        lines.append(text)
    data = _spoil(random, "\n".join(lines).encode())
    lines_with_something = [line for line in data.split(b"\n") if line.strip()]
    return SpoiledFile("lines.ndjson", data, lambda: slow_files.ndjson(data), len(lines_with_something))


def _value(random: Random) -> Any:
    return random.choice([5, 12.5, 0.0, 700, "5.5", None, random.choice(_CELLS), 1e300, -0.5])


def _table(
    random: Random, columns: list[str], time: str, trailing: bool = False, last: list[str] | None = None
) -> bytes:
    header = ",".join(columns) + "," * trailing
    lines = [header]
    for number in range(random.randint(1, 15)):
        cells = [_cell(random, column, time, number) for column in columns]
        if last is not None:
            cells[-1] = last[0] if number == 0 else random.choice(last)
        line = ",".join(cells) + "," * trailing
        kind = random.random()
        if number and kind < 0.05:
            line = line[: random.randrange(len(line))]
        elif number and kind < 0.1:
            line += random.choice([",", ",,7", ",7"])
        elif number and kind < 0.15:
            line = random.choice([header, "", ",,,", line + "\n" + line, header.replace(",", ",x", 1)])
        lines.append(line)
    if random.random() < 0.02:
        lines[0] += f",{columns[0]}"
    text = random.choice(["\n", "\n", "\r\n"]).join(lines) + random.choice(["", "\n"])
    data = text.encode("utf-8", "surrogatepass")
    data = (b"\xef\xbb\xbf" if random.random() < 0.1 else b"") + data
    begin = data.index(b"\n", data.index(b"\n") + 1) if data.count(b"\n") > 1 else len(data)
    return data[:begin] + _spoil(random, data[begin:])


def _cell(random: Random, column: str, time: str, number: int) -> str:
    if column == time:
        return random.choice(_TIMES) if random.random() < 0.1 else _time(time, number)
    if column == "sensor_index":
        return random.choice(["30001", "30002", "30002", "30003", " 30001", "x", ""])
    if column == "mac_address":
        return "0:0:0:0:0:1"
    return random.choice(_CELLS) if random.random() < 0.08 else random.choice(_NUMBERS[:6])


def _time(column: str, number: int) -> str:
    forms = {
        "created_at": f"2022-07-18 06:{number:02}:00 UTC",
        "time_stamp": f"2022-07-18T06:{number:02}:00Z",
        "UTCDateTime": f"2022/07/18T06:{number:02}:00z",
    }
    return forms[column]


def _spoil(random: Random, data: bytes) -> bytes:
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        place = random.randint(0, len(data))
        data = data[:place] + random.choice([b"", *_BYTES]) + data[place + random.randint(0, 1) :]
    return data
