"""Metadata of each window of a run, attached to its materialization."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

ONE_BY_ONE = 500
"""Most windows whose metadata Dagster's own function is asked to add. Each call of it searches a list of all windows of
the run: 500 take a tenth of a second, 1,200 half a second, and the windows of seven years eight, for each asset."""


def add_window_metadata(context: dg.AssetExecutionContext, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """Attach the ``metadata`` of each window (key) to the materialization of that window in this run."""
    if len(metadata) > ONE_BY_ONE:
        if _add_at_once(context, metadata):
            return
        context.log.warning(
            f"The metadata of {len(metadata)} windows is added one by one, which may take long: Dagster "
            f"{dg.__version__} does not keep it where it could be added at once."
        )
    for key, of_window in metadata.items():
        context.add_asset_metadata(of_window, partition_key=key)


def _add_at_once(context: dg.AssetExecutionContext, metadata: Mapping[str, Mapping[str, Any]]) -> bool:
    """Attach ``metadata`` where Dagster keeps it until the step ends; if there is no such place, return False."""
    try:
        from dagster._core.execution.context.metadata_logging import AssetMetadataHandle, OutputMetadataAccumulator

        step = context.get_step_execution_context()
        present = dict(step._metadata_accumulator.per_output_metadata)
        for key, of_window in metadata.items():
            handle = AssetMetadataHandle(asset_key=context.asset_key, partition_key=key)
            present[handle] = {**present.get(handle, {}), **of_window}
        step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=present)
    except (ImportError, AttributeError, TypeError):
        return False
    return True
