"""Chunks: what one transaction takes in, decoded."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from aqi_dagster.errors import KafkaError
from aqi_dagster.pipeline.decoding.decode import Decoded
from aqi_dagster.pipeline.topic.batches import MEMORY, Batch

MOST_REJECTED_BYTES = 8 << 20
"""Bytes of rejected messages that fill a chunk: unlike readings, DuckDB holds several times their size in memory."""


@dataclass
class Chunk:
    """What some batches were decoded to and, by partition, which offsets they hold.

    ``next_offsets`` follow what was read, ``first_offsets`` are the lowest ones; ``messages`` are counts.
    """

    next_offsets: dict[int, int] = field(default_factory=dict)
    first_offsets: dict[int, int] = field(default_factory=dict)
    messages: Counter[int] = field(default_factory=Counter)
    bytes: int = 0
    rejected_bytes: int = 0
    parts: list[Decoded] = field(default_factory=list)

    def add(self, batch: Batch, decoded: Decoded) -> None:
        """Append what ``batch`` was ``decoded`` to."""
        self.next_offsets |= batch.next_offsets
        self.first_offsets = batch.first_offsets() | self.first_offsets
        self.messages.update(batch.messages_by_partition())
        self.bytes += batch.messages.nbytes
        self.rejected_bytes += decoded.rejected.nbytes
        self.parts.append(decoded)

    @property
    def decoded(self) -> Decoded:
        """What all batches were decoded to.

        In one piece: DuckDB would make row groups of the pieces, for a checkpoint to put together later.
        """
        readings = pa.concat_tables(part.readings for part in self.parts)
        return Decoded(
            readings.unify_dictionaries().combine_chunks(memory_pool=MEMORY),
            pa.concat_tables(part.rejected for part in self.parts),
            self.emptied,
        )

    @property
    def emptied(self) -> Counter[str]:
        """Readings of which a field could not be read, by field."""
        return sum((part.emptied for part in self.parts), Counter())


def gather(batches: Iterable[tuple[Batch, Decoded]], most_messages: int, most_bytes: int) -> Iterator[Chunk]:
    """Chunks of ``batches``, each full as soon as it holds that many messages, or bytes of their keys and values.

    A Kafka error of ``batches`` is raised after a chunk of what was read before it: that remains valid, and
    retention may remove it before the next pull.
    """
    chunk = Chunk()
    try:
        for batch, decoded in batches:
            chunk.add(batch, decoded)
            full = chunk.messages.total() >= most_messages or chunk.bytes >= most_bytes
            if full or chunk.rejected_bytes >= MOST_REJECTED_BYTES:
                yield chunk
                chunk = Chunk()
    except KafkaError:
        if chunk.parts:
            yield chunk
        raise
    if chunk.parts:
        yield chunk
