"""Commands as processes of their own, which may be killed or have another clock."""

import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

from tests.stress import doomed
from tests.stress.doomed import Doom
from tests.support.waiting import LIMIT_SECONDS

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([doomed.__name__])


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, what it printed, and where it was last, as :mod:`doomed` has it."""

    status: int
    told: str
    place: str
    telling: str

    @property
    def was_killed(self) -> bool:
        """Whether it died by SIGKILL."""
        return self.status == -signal.SIGKILL


def run_command(
    arguments: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    doom: Doom | None = None,
    killed_after: float | None = None,
    clock_off: timedelta | None = None,
) -> Ended:
    """Run a command in ``folder`` to its end, or until it is killed; ``clock_off``: how far its clock is ahead."""
    state = RawValue(doomed.State)
    log = folder / "log"
    printed_before = log.stat().st_size if log.exists() else 0
    process = PROCESSES.Process(target=doomed.run, args=(arguments, folder, settings, doom, clock_off, state))
    process.start()
    process.join(LIMIT_SECONDS if killed_after is None else killed_after)
    timed_out = process.is_alive() and killed_after is None
    process.kill()
    process.join()
    told = log.read_bytes()[printed_before:].decode(errors="replace") if log.exists() else ""
    assert not timed_out, f"{arguments} did not end in {LIMIT_SECONDS} s: {told[-5000:]}"
    assert process.exitcode is not None
    # Of the places where a kill may repeat a message, the process itself knows best.
    place = doom.place if doom and not state.telling else state.place
    return Ended(process.exitcode, told, place, state.telling.decode())
