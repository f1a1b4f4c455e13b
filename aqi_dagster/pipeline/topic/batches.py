"""Batches: what the polls of a topic returned, as columns."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyarrow as pa
from confluent_kafka import Message

MESSAGES_SCHEMA = pa.schema(
    [
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)

MEMORY = pa.system_memory_pool()
"""Arrow's pool for large arrays. Its default pool asks for huge pages, which a virtual machine provides slowly."""


LONGEST_SECONDS = 2.0
"""How long a batch is built: from a slow broker it is handed on before it is full, so that people see it go on."""


@dataclass(frozen=True)
class Batch:
    """Messages in order of arrival (:data:`MESSAGES_SCHEMA`), and by partition the offset after the last one read.

    ``ends`` are the offsets at which the partitions end that were fetched so far, as far as the reader goes. ``unread``
    has first offset and end of others, if reading takes so long that the broker was asked: about, and only to be shown.
    """

    messages: pa.Table
    next_offsets: dict[int, int]
    ends: Mapping[int, int] = field(default_factory=dict)
    unread: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def messages_by_partition(self) -> dict[int, int]:
        """Number of messages of each partition that has any."""
        counts = np.bincount(self.messages["kafka_partition"].to_numpy())
        return {partition: int(counts[partition]) for partition in np.flatnonzero(counts).tolist()}

    def first_offsets(self) -> dict[int, int]:
        """The lowest offset of each partition that has any message."""
        partitions, offsets = (self.messages[name].to_numpy() for name in ("kafka_partition", "kafka_offset"))
        # Offsets rise within a partition, so its first row has the lowest.
        return {
            partition: int(offsets[np.argmax(partitions == partition)]) for partition in self.messages_by_partition()
        }


class BatchBuilder:
    """Gathers messages column by column until a batch is full.

    ``ends`` and ``unread`` are those of batches, as far as whoever builds them knows.
    """

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.unread: dict[int, tuple[int, int]] = {}
        self._first_began = time.monotonic()
        self._start()

    def _start(self) -> None:
        self._parts: list[pa.RecordBatch] = []
        self.next_offsets: dict[int, int] = {}
        self.size = 0
        self.bytes = 0
        self._began = time.monotonic()

    def add(self, messages: list[Message]) -> dict[int, int]:
        """Append ``messages``; returns the offset after the last of each partition among them."""
        if not messages:
            return {}
        partitions = cast("list[int]", [*map(Message.partition, messages)])
        offsets = cast("list[int]", [*map(Message.offset, messages)])
        part = pa.record_batch(
            [
                np.array(partitions, np.int32),
                np.array(offsets, np.int64),
                pa.array([*map(Message.key, messages)], pa.binary(), memory_pool=MEMORY),
                pa.array([*map(Message.value, messages)], pa.binary(), memory_pool=MEMORY),
            ],
            schema=MESSAGES_SCHEMA,
        )
        self._parts.append(part)
        self.size += len(messages)
        self.bytes += part.nbytes
        # Offsets rise within a partition, so the last message of each partition has the highest.
        last = dict(zip(partitions, offsets, strict=True))
        next_offsets = {partition: offset + 1 for partition, offset in last.items()}
        self.next_offsets.update(next_offsets)
        return next_offsets

    @property
    def takes_long(self) -> bool:
        """Whether people may want to know how much there is to read."""
        return time.monotonic() - self._first_began > LONGEST_SECONDS

    def is_full(self, messages: int, size: int) -> bool:
        """Whether the batch has so many ``messages``, that ``size`` in bytes, or has been built for long enough."""
        is_old = self.size > 0 and time.monotonic() - self._began > LONGEST_SECONDS
        return is_old or self.size >= messages or self.bytes >= size

    def take(self) -> Batch:
        """Return the batch built so far and start the next one."""
        batch = Batch(
            pa.Table.from_batches(self._parts, MESSAGES_SCHEMA), self.next_offsets, dict(self.ends), dict(self.unread)
        )
        self._start()
        return batch
