"""The same work without Dagster and without the health of sensors: what that costs shows in the difference."""

from typing import Any

from benchmarks import pipeline_plain


def run(servers: str, topic: str) -> dict[str, Any]:
    """Pull, score, classify and publish, and judge no sensor."""
    return pipeline_plain.run(servers, topic, health=False)
