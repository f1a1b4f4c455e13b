"""The columns that a message value fills, as Arrow has them."""

import pyarrow as pa

from aqi_dagster.message_fields import OPTIONAL_NUMBERS

VALUE_SCHEMA = pa.schema(
    [
        ("created_at", pa.timestamp("us")),
        ("pm25_cf1", pa.float64()),
        ("entry_id", pa.int64()),
        *((column, pa.float64()) for column in OPTIONAL_NUMBERS),
        ("sensor_index", pa.int64()),
        ("sensor_name", pa.dictionary(pa.int32(), pa.string())),
        ("location_type", pa.int8()),
    ]
)
"""The columns that a message value fills: those of ``readings``, and the last three of ``sensors``."""
