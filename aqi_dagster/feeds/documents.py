"""Saved JSON: of PurpleAir's API, and of a sensor itself at ``http://SENSOR/json``; one or several in a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aqi_dagster.errors import InputFileError
from aqi_dagster.feeds import api_json, local_json
from aqi_dagster.feeds.context import Context, SourcedMessages
from aqi_dagster.feeds.lines import read_whole
from aqi_dagster.feeds.ndjson import after_blanks

MOST_BYTES = 200_000_000
"""Largest file of JSON that is read: it has to be in memory as a whole."""


def read_documents(path: Path, context: Context) -> SourcedMessages:
    """The messages of all JSON documents in ``path``: one after the other, or in an array."""
    try:
        text = read_whole(path, MOST_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise InputFileError(f"{path}: is not UTF-8") from None
    count = 0
    for number, document in _documents(path, text):
        count += 1
        yield from _messages(path, number, document, context)
    if not count:
        raise InputFileError(f"{path}: is empty")


def _messages(path: Path, number: int, document: Any, context: Context) -> SourcedMessages:
    if isinstance(document, dict):
        if local_json.is_local(document):
            return local_json.read_local(path, number, document, context)
        if api_json.is_answer(document):
            return api_json.read_answer(path, number, document, context)
        if {"key", "value"} <= document.keys():
            raise InputFileError(
                f"{path}: holds messages; give it a name that ends in .ndjson, with a message in each line"
            )
        if "error" in document:
            problem = document.get("description") or document["error"]
            raise InputFileError(f"{path}: is an answer of PurpleAir's API that tells of an error: {problem}")
    raise InputFileError(
        f"{path}, line {number}: is neither what a sensor says at /json nor an answer of PurpleAir's API with readings"
    )


def _documents(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Each document of ``text`` with the number of its first line; those of an array one by one."""
    line, counted, place = 1, 0, after_blanks(text, 0)
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        try:
            document, end = local_json.DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise InputFileError(f"{path}, line {line}: not JSON: {error}") from error
        for each in document if isinstance(document, list) else [document]:
            yield line, each
        place = after_blanks(text, end)
