"""The same as ``pipeline``, with Dagster's events in SQLite on disk, as an instance keeps them by default."""

from benchmarks import pipeline


def run(servers: str, topic: str) -> dict[str, int]:
    """Run all windows."""
    return pipeline.run(servers, topic, events_on_disk=True)
