"""How long nothing new has come from the topic, as of the pull that looked last."""

from datetime import datetime
from typing import NamedTuple

from duckdb import DuckDBPyConnection

_SILENCE = """
SELECT
    (SELECT max(pulled_at) FROM pulled_offsets WHERE messages > 0),
    (SELECT max(updated_at) FROM kafka_offsets)
"""


class Silence(NamedTuple):
    """When the last message came, and when the topic was last read, both naive UTC."""

    last_message: datetime
    last_read: datetime


def silence(connection: DuckDBPyConnection) -> Silence | None:
    """The silence of the topic; None if it was never read, or never held a message."""
    ((last_message, last_read),) = connection.execute(_SILENCE).fetchall()
    return None if last_message is None or last_read is None else Silence(last_message, last_read)
