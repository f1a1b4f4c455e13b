"""What a file of readings holds, found out by another path than the pipeline's: line by line, with no code of its own.

Each reader gives the messages that the bytes of a file mean, as key and value; :mod:`slow_messages` reads these.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Message = tuple[bytes, bytes]
Place = tuple[str, str]
"""Latitude and longitude as they are written."""

API = {
    "PM2.5_CF1_ug/m3": ["pm2.5_cf_1_a", "pm2.5_cf_1"],
    "PM2.5_CF1_B_ug/m3": ["pm2.5_cf_1_b"],
    "Temperature_F": ["temperature"],
    "Humidity_%": ["humidity"],
    "sensor_index": ["sensor_index"],
    "sensor_name": ["name"],
    "location_type": ["location_type"],
}
OWN = {
    "PM2.5_CF1_ug/m3": ["pm2_5_cf_1"],
    "PM2.5_CF1_B_ug/m3": ["pm2_5_cf_1_b"],
    "PM2.5_ATM_ug/m3": ["pm2_5_atm"],
    "Temperature_F": ["current_temp_f"],
    "Humidity_%": ["current_humidity"],
}


def classic(name: str, data: bytes) -> Iterator[Message]:
    """The messages of a classic download."""
    place = _place_in(name)
    for cells in _rows(data):
        if place is not None:
            yield _message(place, _without_nothing(cells) | _of_name(name))


def seed(data: bytes) -> Iterator[Message]:
    """The messages of a table of downloads, whose last column has their names."""
    for cells in _rows(data, "download"):
        name = cells.pop("download").strip()
        place = _place_in(name)
        if place is not None:
            yield _message(place, _without_nothing(cells) | _of_name(name))


def history(name: str, data: bytes, places: Mapping[int, Place]) -> Iterator[Message]:
    """The messages of a CSV by sensor index."""
    has_index = b"sensor_index" in data.split(b"\n")[0]
    for cells in _rows(data):
        there = [*cells]
        kept = _without_nothing(cells)
        index = kept.get("sensor_index", "") if has_index else re.split(r"\D", name)[0]
        place = places.get(int(index.strip())) if re.fullmatch(r"\s*[0-9]+\s*", index) else None
        time = _utc(kept.get("time_stamp", ""))
        if place is not None and time is not None:
            yield _message(place, {"created_at": time} | _taken(API, kept, there) | {"sensor_index": index.strip()})


def card(place: Place, data: bytes) -> Iterator[Message]:
    """The messages of a sensor's card, which is known to be from ``place``."""
    for cells in _rows(data):
        kept = _without_nothing(cells)
        yield from _own_message(place, kept, [*cells], kept.get("UTCDateTime", ""))


def own_json(data: bytes) -> Iterator[Message]:
    """The messages of what sensors say at /json, one document after the other."""
    for document in _documents(data.decode()):
        kept = _without_nothing({name: text for name, text in document.items() if isinstance(text, str)})
        place = kept.get("lat", ""), kept.get("lon", "")
        yield from _own_message(place, kept, [*document], kept.get("DateTime", ""))


def api_json(data: bytes) -> Iterator[Message]:
    """The messages of an answer for all sensors."""
    for document in _documents(data.decode()):
        names = document["fields"]
        for row in document["data"]:
            if len(row) == len(names):
                kept = _without_nothing({n: text for n, text in zip(names, row, strict=True) if isinstance(text, str)})
                time = _utc(kept.get("last_seen", ""))
                if time is not None:
                    place = kept.get("latitude", ""), kept.get("longitude", "")
                    yield _message(place, {"created_at": time} | _taken(API, kept, names))


def ndjson(data: bytes) -> Iterator[Message]:
    """The messages of lines of JSON: only that of which key and value are what they must be."""
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            pairs = json.loads(line, object_pairs_hook=list, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            continue
        names = [name for name, _ in pairs] if line.strip().startswith(b"{") else []
        found = dict(pairs) if names else {}
        if len(set(names)) < len(names) or not isinstance(found.get("key"), str):
            continue
        # What the value is of which there is only one is what remains without the key.
        begin = re.search(rb'"value"\s*:\s*', line)
        if begin is not None and line[begin.end() : begin.end() + 1] == b"{":
            yield json.dumps(found["key"]).encode(), _object_at(line, begin.end())


def lines_of_table(data: bytes) -> int:
    """Lines of a table that are neither blank nor a header; blank is also a row whose cells are."""
    first: str | None = None
    count = 0
    for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        text = line.decode(errors="replace").rstrip("\r")
        cells = _cells(text)
        if not line.strip():
            continue
        if cells is not None and "\ufffd" not in text and first in (None, cells[0].strip()):
            first = cells[0].strip()
        elif cells is None or "".join(cells).strip():
            count += 1
    return count


def _object_at(line: bytes, begin: int) -> bytes:
    """The JSON object that begins in ``line``, found by counting its braces outside of texts."""
    depth, in_text, place = 0, False, begin
    while True:
        character = line[place : place + 1]
        if in_text:
            place += character == b"\\"
            in_text = character != b'"'
        elif character == b'"':
            in_text = True
        elif character in (b"{", b"}"):
            depth += 1 if character == b"{" else -1
            if not depth:
                return line[begin : place + 1]
        place += 1


def _rows(data: bytes, last: str | None = None) -> Iterator[dict[str, str]]:
    """The cells of each whole row by column; ``last`` names the last column if it has no name."""
    header: list[str] = []
    for number, line in enumerate(data.split(b"\n")):
        try:
            text = (line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line).decode().rstrip("\r")
        except UnicodeDecodeError:
            continue
        cells = _cells(text) if text.strip() else None
        if cells is None:
            continue
        if not header or cells[0].strip() == header[0]:
            header = [cell.strip() for cell in cells]
            if last is not None:
                header[-1] = last
            elif header[-1] == "":
                header.pop()
            if any(name and header.count(name) > 1 for name in header):
                return
        elif len(cells) >= len(header) and not any(cells[len(header) :]) and any(cell.strip() for cell in cells):
            yield dict(zip(header, cells, strict=False))


def _cells(text: str) -> list[str] | None:
    """The cells of a line of CSV; None if a quotation mark stands where it cannot."""
    cells, place = [], 0
    while True:
        if text[place : place + 1] == '"':
            cell, place = "", place + 1
            while text[place : place + 1] != '"' or text[place : place + 2] == '""':
                if place >= len(text):
                    return None
                cell, place = cell + text[place], place + (2 if text[place] == '"' else 1)
            place += 1
        else:
            end = text.find(",", place)
            end = len(text) if end < 0 else end
            cell, place = text[place:end], end
        cells.append(cell)
        if place == len(text):
            return None if "\r" in text or "\n" in text else cells
        if text[place] != ",":
            return None
        place += 1


def _own_message(place: Place, kept: Mapping[str, str], there: list[str], time: str) -> Iterator[Message]:
    moment, fields = _utc(time), _taken(OWN, kept, there)
    try:
        mixed_up = float(fields["PM2.5_CF1_ug/m3"]) < float(fields["PM2.5_ATM_ug/m3"])
    except (KeyError, ValueError):
        mixed_up = False
    if moment is not None and not mixed_up:
        yield _message(place, {"created_at": moment} | fields)


def _message(place: Place, fields: Mapping[str, str]) -> Message:
    return json.dumps(", ".join(place)).encode(), json.dumps(fields).encode()


def _of_name(name: str) -> dict[str, str]:
    found = [number for word, number in (("(outside)", "0"), ("(inside)", "1")) if word in name]
    return {"location_type": found[0]} if found else {}


def _place_in(name: str) -> Place | None:
    match = re.search(r"\((-?[0-9.]+)[ ,]+(-?[0-9.]+)\)", name)
    return (match[1], match[2]) if match else None


def _without_nothing(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in cells.items() if text.strip().lower() not in ("", "nan", "null")}


def _taken(fields: Mapping[str, list[str]], kept: Mapping[str, str], there: list[str]) -> dict[str, str]:
    found = {}
    for field, names in fields.items():
        best = next((name for name in names if name in there), "")
        if best in kept:
            found[field] = kept[best]
    return found


def _utc(text: str) -> str | None:
    """A time beyond doubt as the topic has it."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{10}(\.0*)?", text):
        return f"{datetime.fromtimestamp(int(text[:10]), UTC):%Y-%m-%d %H:%M:%S} UTC"
    match = re.fullmatch(
        r"([0-9]{4})([-/])([0-9]{2})[-/]([0-9]{2})([ T])([0-9:]{8})(\.0+)?( UTC|UTC|Z|z|[+-][0-9]{2}:?[0-9]{2})", text
    )
    if match is None:
        return None
    zone = match[8].strip().upper().replace("UTC", "Z")
    iso = f"{match[1]}-{match[3]}-{match[4]}T{match[6]}"
    try:
        moment = datetime.fromisoformat(iso + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        return None
    return f"{(moment - (moment.utcoffset() or timedelta())).replace(tzinfo=None).isoformat(' ')} UTC"


def _documents(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    place = 0
    while place < len(text.rstrip()):
        place += len(text[place:]) - len(text[place:].lstrip())
        document, place = decoder.raw_decode(text, place)
        yield from document if isinstance(document, list) else [document]
