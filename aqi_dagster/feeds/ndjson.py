"""NDJSON: a message a line, ``{"key": "lat, long", "value": {...}}``, sent as it is written.

What a sensor says at ``/json`` may be in a line as well.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.lines import read_lines
from aqi_dagster.feeds.local_json import local_document, read_local
from aqi_dagster.feeds.messages import Message

KIND = "NDJSON"

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_USUAL = re.compile(r"""\{ ?"key" ?: ?("[^"\\\x00-\x1f]*") ?, ?"value" ?: ?(\{[^{}\\]*\}) ?\} *""")
"""A line that is a message if what it has for a value is JSON: nothing in it can be anything else."""

_BLANKS = re.compile(r"[ \t\r\n]*")


class NoMessageError(ValueError):
    """The line is no message; the text says why."""


def read_ndjson(path: Path, context: Context) -> SourcedMessages:
    """The messages of ``path``, byte for byte as they are written; lines that are none are noted."""
    source = context.report.source(path, KIND)
    for line in read_lines(path):
        try:
            if line.problem:
                raise NoMessageError(line.problem)
            yield source, message_of_line(line.text)
        except NoMessageError as error:
            document = local_document(line.text)
            if document is None:
                context.report.bad_line(path, line.number, str(error))
            else:
                yield from read_local(path, line.number, document, context)


def message_of_line(text: str) -> Message:
    """The message that a line holds. Raises :class:`NoMessageError`.

    Key and value are cut out, not read and written anew: what may be wrong in them is for the definition of a reading
    to find, and a field that comes twice must not become one.
    """
    usual = _USUAL.fullmatch(text)
    if usual is not None and _is_json(usual[2]):
        return Message(usual[1].encode(), usual[2].encode())
    try:
        members = dict[str, tuple[Any, str]]()
        for name, member, written in _members(text):
            if name in members:
                raise NoMessageError(f'"{name}" comes twice')
            members[name] = member, written
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, NoMessageError) else NoMessageError(f"not JSON: {error}") from error
    key, value = members.get("key"), members.get("value")
    if key is None or not isinstance(key[0], str):
        raise NoMessageError('"key" must be the text "lat, long"')
    if value is None or not isinstance(value[0], dict):
        raise NoMessageError('"value" must be an object')
    return Message(key[1].encode(), value[1].encode())


def _is_json(text: str) -> bool:
    try:
        _DECODER.decode(text)
    except ValueError:
        return False
    return True


def _members(text: str) -> Iterator[tuple[str, Any, str]]:
    """Name, value and written value of each member of the object that ``text`` is."""
    place = after_blanks(text, 0)
    if text[place : place + 1] != "{":
        found, end = _DECODER.raw_decode(text, place)
        raise NoMessageError(f"expected an object, found {type(found).__name__}")
    place = after_blanks(text, place + 1)
    closing = text[place : place + 1] == "}"
    while not closing:
        if text[place : place + 1] != '"':
            raise json.JSONDecodeError("Expecting a name in quotes", text, place)
        name, place = _DECODER.raw_decode(text, place)
        place = after_blanks(text, place)
        if text[place : place + 1] != ":":
            raise json.JSONDecodeError("Expecting ':'", text, place)
        begin = after_blanks(text, place + 1)
        member, end = _DECODER.raw_decode(text, begin)
        yield name, member, text[begin:end]
        place = after_blanks(text, end)
        closing = text[place : place + 1] == "}"
        if not closing:
            if text[place : place + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' or '}'", text, place)
            place = after_blanks(text, place + 1)
    if after_blanks(text, place + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, place + 1)


def after_blanks(text: str, place: int) -> int:
    """Where in ``text``, from ``place`` on, something other than JSON's white space is."""
    match = _BLANKS.match(text, place)
    return match.end() if match else place
