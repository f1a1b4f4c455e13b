"""What a run of this process does, as lines for whoever waits for it: the steps that begin, and what they log."""

import logging
from collections.abc import Callable, Mapping

import dagster as dg


def follow(instance: dg.DagsterInstance, run_id: str, steps: Mapping[str, str], say: Callable[[str], object]) -> None:
    """Have ``say`` called with a line for each step of the run that begins, and for each line that one logs.

    ``steps`` says by a step's key what it does. Lines below the level INFO, and Dagster's own events, are left out.
    """

    def tell(entry: dg.EventLogEntry) -> None:
        if entry.dagster_event is None:
            if int(entry.level) >= logging.INFO:
                say(f"  {entry.user_message}")
        elif entry.dagster_event.event_type == dg.DagsterEventType.STEP_START:
            say(f"{entry.step_key} {steps.get(entry.step_key or '', 'begins')} ...")

    instance.add_event_listener(run_id, tell)
