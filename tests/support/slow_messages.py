"""What a message holds, found out by another path than the pipeline's: slowly, character by character, in decimals.

It shares no code with the pipeline, so that a fault must be made twice to go unseen.
"""

import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

BLANKS = " \t\n\r\v\f"

KNOWN = (
    *("created_at", "entry_id", "PM1.0_CF1_ug/m3", "PM2.5_CF1_ug/m3", "PM10.0_CF1_ug/m3", "PM2.5_ATM_ug/m3"),
    *("PM2.5_CF1_B_ug/m3", "Temperature_F", "Humidity_%", "Humidity", "RSSI_dbm", "UptimeMinutes"),
    *("sensor_index", "sensor_name", "location_type"),
)
MASSES = {"PM1.0_CF1_ug/m3", "PM2.5_CF1_ug/m3", "PM10.0_CF1_ug/m3", "PM2.5_ATM_ug/m3", "PM2.5_CF1_B_ug/m3"}
COLUMNS = {
    "pm1_cf1": "PM1.0_CF1_ug/m3",
    "pm10_cf1": "PM10.0_CF1_ug/m3",
    "pm25_atm": "PM2.5_ATM_ug/m3",
    "pm25_cf1_b": "PM2.5_CF1_B_ug/m3",
    "temperature": "Temperature_F",
    "rssi": "RSSI_dbm",
    "uptime": "UptimeMinutes",
}


class Number(str):
    """A JSON number as it is written."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all its members."""


class Bad:
    """Stands for what cannot be read."""


BAD = Bad()


def slow_reading(key: bytes | None, value: bytes | None, newest: datetime) -> dict[str, Any] | None:
    """The columns of the reading that a message is, and the fields ``emptied``, in order; None if it is none."""
    place, fields = _place(key), _fields(value)
    if place is None or fields is None:
        return None
    moment = _moment(fields.get("created_at"))
    pm25 = _number(fields.get("PM2.5_CF1_ug/m3"), "PM2.5_CF1_ug/m3")
    index = _whole(fields.get("sensor_index"))
    if moment is None or moment > newest or not isinstance(pm25, float):
        return None
    if index is BAD or (isinstance(index, int) and index < 0):
        return None
    found: dict[str, tuple[str, Any]] = {
        column: (field, _number(fields.get(field), field)) for column, field in COLUMNS.items()
    }
    found["humidity"] = ("Humidity_%", _number(fields.get("Humidity_%"), "Humidity_%"))
    found["entry_id"] = ("entry_id", _whole(fields.get("entry_id")))
    found["sensor_name"] = ("sensor_name", _name(fields.get("sensor_name")))
    found["location_type"] = ("location_type", _location(fields.get("location_type")))
    bad = [field for field, read in found.values() if read is BAD]
    columns = {column: None if read is BAD else read for column, (_, read) in found.items()}
    if columns["humidity"] is None:
        older = _number(fields.get("Humidity"), "Humidity")
        bad += ["Humidity"] if older is BAD else []
        columns["humidity"] = None if older is BAD else older
    sensor = place if index is None else f"{place} #{index}"
    columns |= {"sensor": sensor, "created_at": moment, "pm25_cf1": pm25, "sensor_index": index}
    return columns | {"emptied": sorted(bad)}


def _place(key: bytes | None) -> str | None:
    if key is None or len(key) > 256:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    candidates = [text]
    try:
        decoded = json.loads(text)
    except ValueError:
        decoded = None
    if isinstance(decoded, str):
        candidates.append(decoded)
    for candidate in candidates:
        parts = [part.strip(BLANKS) for part in candidate.split(",")]
        if len(parts) != 2 or not all(map(_is_degrees, parts)):
            continue
        latitude, longitude = map(Decimal, parts)
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return ", ".join(parts)
    return None


def _is_degrees(text: str) -> bool:
    whole, dot, decimals = text.removeprefix("-").partition(".")
    return 1 <= len(whole) <= 3 and _digits(whole) and (not dot or _digits(decimals))


def _digits(text: str) -> bool:
    return bool(text) and all(character in "0123456789" for character in text)


def _fields(value: bytes | None) -> dict[str, Any] | None:
    def refuse(_: str) -> None:
        raise ValueError

    if value is None:
        return None
    try:
        decoded = json.loads(
            value.decode(), object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=refuse
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(decoded, Pairs) or _has_a_known_field_twice(decoded):
        return None
    return dict(decoded)


def _has_a_known_field_twice(decoded: Any) -> bool:
    if isinstance(decoded, Pairs):
        names = [name for name, _ in decoded]
        if any(names.count(name) > 1 for name in KNOWN):
            return True
        return any(_has_a_known_field_twice(member) for _, member in decoded)
    return isinstance(decoded, list) and any(map(_has_a_known_field_twice, decoded))


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or isinstance(value, Number):
        return None
    text = value.strip(BLANKS)
    for zone in (" UTC", "Z", "+00:00"):
        rest = text.removesuffix(zone)
        if rest == text:
            continue
        seconds, dot, fraction = rest.partition(".")
        if dot and (not _digits(fraction) or set(fraction) != {"0"}):
            return None
        if len(seconds) != 19 or seconds[10] not in " T":
            return None
        shape = [*zip(seconds, "0000-00-00 00:00:00", strict=True)]
        if any(not _digits(found) if form == "0" else found != form for found, form in shape if form != " "):
            return None
        numbers = [int(seconds[a:b]) for a, b in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))]
        try:
            return datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001 (naive UTC)
        except ValueError:
            return None
    return None


def _number(value: Any, field: str) -> float | Bad | None:
    text = _text(value)
    if not isinstance(text, str):
        return text
    if any(character not in "0123456789+-.eE" for character in text):
        return BAD
    digits, _, exponent = text.lower().partition("e")
    # Of nothing there is nothing, however often; Decimal knows no exponent of more than 18 digits.
    if not digits.strip("+-0.") and _digits(exponent.lstrip("+-")) and exponent.count("-") + exponent.count("+") < 2:
        text = digits
    try:
        number = float(Decimal(text))
    except InvalidOperation:
        return BAD
    too_large = number in (float("inf"), float("-inf")) or (field in MASSES and abs(Decimal(number)) > 100_000)
    return BAD if too_large else number


def _whole(value: Any) -> int | Bad | None:
    text = _text(value)
    if not isinstance(text, str):
        return text
    number, dot, zeros = text.partition(".")
    digits = number[1:] if number[:1] in ("+", "-") else number
    if not _digits(digits) or len(digits) > 18 or (dot and zeros.strip("0")):
        return BAD
    return int(number)


def _location(value: Any) -> int | Bad | None:
    number = _number(value, "location_type")
    if isinstance(number, float):
        return {0.0: 0, 1.0: 1}.get(number, BAD)
    return number


def _name(value: Any) -> str | Bad | None:
    text = _text(value)
    if not isinstance(text, str):
        return text
    words = [word for word in text.translate({ord(blank): " " for blank in BLANKS}).split(" ") if word]
    name = " ".join(words)
    odd = any(ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) <= 0xDFFF for character in name)
    return BAD if odd or len(name) > 200 else name


def _text(value: Any) -> str | Bad | None:
    """What a field holds beside white space; None if that is nothing."""
    if value is None:
        return None
    return (value.strip(BLANKS) or None) if isinstance(value, str) else BAD
