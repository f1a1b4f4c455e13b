"""What the compiled scanner buys: the values of ordinary messages as columns, by it and by two JSON libraries.

The libraries get off lightly: none of what :mod:`decoding.definition` checks is checked here, no odd number or name is
looked for, and Arrow turns whole columns of texts into times and numbers.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from aqi_dagster.message_fields import ENTRY_ID_FIELD, OPTIONAL_NUMBERS, PM25_FIELD, TIME_FIELD
from aqi_dagster.pipeline.decoding.definition import TIME_FORMAT
from aqi_dagster.pipeline.decoding.fast_path import scan

_NUMBERS = [PM25_FIELD, *OPTIONAL_NUMBERS.values()]

_ALL = [TIME_FIELD, ENTRY_ID_FIELD, *_NUMBERS]

Reader = Callable[[bytes], Any]


def _struct_reader() -> Reader:
    """Msgspec's fastest way: into an object with a slot for each field that we take, past all others."""
    fields: list[Any] = [(f"f{number}", str | None, None) for number in range(len(_ALL))]
    names = {f"f{number}": name for number, name in enumerate(_ALL)}
    struct = msgspec.defstruct("Value", fields, rename=names, gc=False)
    return msgspec.json.Decoder(struct).decode


def _columns(texts: list[list[str | None]]) -> pa.Table:
    times, ids, *numbers = (pa.array(column, pa.string()) for column in texts)
    return pa.table(
        {
            TIME_FIELD: pc.strptime(times, TIME_FORMAT, "us"),
            ENTRY_ID_FIELD: ids.cast(pa.int64()),
            **{name: column.cast(pa.float64()) for name, column in zip(_NUMBERS, numbers, strict=True)},
        }
    )


def _by_msgspec(values: pa.ChunkedArray) -> int:
    read = _struct_reader()
    rows = [read(value) for value in values.to_pylist()]
    return _columns([[getattr(row, f"f{number}") for row in rows] for number in range(len(_ALL))]).num_rows


def _by_orjson(values: pa.ChunkedArray) -> int:
    rows = [orjson.loads(value) for value in values.to_pylist()]
    return _columns([[row.get(name) for row in rows] for name in _ALL]).num_rows


def _by_scanner(values: pa.ChunkedArray) -> int:
    return scan(values)[1].num_rows


def seconds(batches: list[pa.Table]) -> dict[str, float]:
    """Processor time for a million messages by each way, in seconds; the first batch is only for warming up."""
    ways = {"the compiled scanner": _by_scanner, "msgspec": _by_msgspec, "orjson": _by_orjson}
    found = {}
    for name, way in ways.items():
        way(batches[0]["value"])
        started = time.process_time()
        rows = sum(way(batch["value"]) for batch in batches[1:])
        elapsed = time.process_time() - started
        if rows != sum(batch.num_rows for batch in batches[1:]):
            raise RuntimeError(f"{name} did not read every message")
        found[name] = elapsed * 1e6 / rows
    return found
