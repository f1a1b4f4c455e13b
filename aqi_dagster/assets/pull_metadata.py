"""The numbers of a pull in the records of its run: as metadata of ``readings``, and back from there."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from aqi_dagster.pipeline.reporting.pull_words import PullNumbers

_COUNTS = {
    "messages": "pulled_messages",
    "readings": "pulled_readings",
    "repeated": "pulled_repeated_readings",
    "rejected": "rejected_messages",
    "retaken": "retaken_readings",
    "before_first_window": "readings_before_first_window",
}

_REJECTED, _EMPTIED = "rejected: ", "emptied: "


def pull_metadata(numbers: PullNumbers) -> dict[str, Any]:
    """``numbers`` as metadata."""
    return {
        **{name: getattr(numbers, field) for field, name in _COUNTS.items()},
        **{f"{_REJECTED}{reason}": count for reason, count in numbers.reasons.items()},
        **{f"{_EMPTIED}{field}": count for field, count in numbers.emptied.items()},
    }


def recorded_numbers(events: Iterable[dg.DagsterEvent]) -> PullNumbers | None:
    """The numbers of the pull among ``events`` of a run; None if it did not come so far."""
    for event in events:
        if event.is_step_materialization and event.asset_key == dg.AssetKey("readings"):
            recorded = event.step_materialization_data.materialization.metadata
            if _COUNTS["messages"] in recorded:
                return _numbers({name: value.value for name, value in recorded.items()})
    return None


def _numbers(metadata: Mapping[str, Any]) -> PullNumbers:
    return PullNumbers(
        **{field: metadata[name] for field, name in _COUNTS.items()},
        reasons=_beginning_with(_REJECTED, metadata),
        emptied=_beginning_with(_EMPTIED, metadata),
    )


def _beginning_with(prefix: str, metadata: Mapping[str, Any]) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in metadata.items() if name.startswith(prefix)}
