"""``python -m tests.mutants``: change the pipeline in a hundred ways, and name the changes that no test notices."""

import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from queue import SimpleQueue
from random import Random, SystemRandom
from typing import TypeVar

import click
from tabulate import tabulate

from tests.mutants.bench import Bench, Trial, copy_checkout
from tests.mutants.choice import WatchedTest, read_watched
from tests.mutants.mutant import ROOMS, Mutant, files_of
from tests.mutants.python_mutants import draw_python_mutants
from tests.mutants.sql_mutants import draw_sql_mutants, sql_mutants
from tests.support.environment import forget_settings
from tests.support.places import TOP

Thing = TypeVar("Thing")
Result = TypeVar("Result")

Draw = Callable[[str, int, Random], list[Mutant]]


def shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """``count`` shared out in proportion to ``sizes``, by the largest remainders."""
    total = sum(sizes.values())
    exact = {name: count * size / total for name, size in sizes.items()}
    found = {name: int(share) for name, share in exact.items()}
    for name in sorted(sizes, key=lambda name: found[name] - exact[name])[: count - sum(found.values())]:
        found[name] += 1
    return found


def draw(sizes: dict[str, int], count: int, draw_of: Draw, random: Random) -> list[Mutant]:
    """``count`` changes of all rooms in proportion to their ``sizes``."""
    return [mutant for room, share in shares(sizes, count).items() for mutant in draw_of(room, share, random)]


class Benches:
    """As many things at once as there are benches, each on one that is free."""

    def __init__(self, benches: Sequence[Bench]) -> None:
        self._count = len(benches)
        self._free: SimpleQueue[Bench] = SimpleQueue()
        for bench in benches:
            self._free.put(bench)

    def each(self, do: Callable[[Bench, Thing], Result], things: Iterable[Thing]) -> list[Result]:
        """What ``do`` returns for each of ``things``, in their order."""

        def on_a_free_one(thing: Thing) -> Result:
            bench = self._free.get()
            try:
                return do(bench, thing)
            finally:
                self._free.put(bench)

        with ThreadPoolExecutor(self._count) as threads:
            return list(threads.map(on_a_free_one, things))


def note_calls(benches: Benches, rooms: Sequence[str], notes: Path) -> dict[str, list[WatchedTest]]:
    """By room, its tests and what they call, of ``notes`` if it was noted there; an error if a test fails as it is."""

    def unchanged(bench: Bench, room: str) -> Trial:
        trial = bench.unchanged(room, notes / f"{room}.json")
        click.echo(f"{room}: its tests {trial.outcome} without any change, in {trial.seconds:.0f} s. {trial.told}")
        return trial

    usual = benches.each(unchanged, [room for room in rooms if not (notes / f"{room}.json").exists()])
    if any(trial.outcome != "passed" for trial in usual):
        raise click.ClickException("Nothing can be said of changes before all tests pass.")
    return {room: read_watched(notes / f"{room}.json") for room in rooms}


def try_all(
    benches: Benches, mutants: Sequence[Mutant], notes: Path, most_seconds: float
) -> list[tuple[Mutant, Trial]]:
    """What came of each of ``mutants``, said as it comes."""
    tests_of = note_calls(benches, sorted({mutant.room for mutant in mutants}), notes)

    def changed(bench: Bench, mutant: Mutant) -> tuple[Mutant, Trial]:
        trial = bench.changed(mutant, tests_of[mutant.room], most_seconds)
        said = "SURVIVED" if trial.outcome == "passed" else trial.outcome
        click.echo(f"{said}  {mutant}  [{trial.told or 'no test failed'}, {trial.seconds:.0f} s]")
        return mutant, trial

    return benches.each(changed, mutants)


def report(tried: Sequence[tuple[Mutant, Trial]]) -> None:
    """Say how many changes of each kind were noticed, and name those that were not."""
    kinds = Counter(((mutant.room, mutant.language), trial.outcome) for mutant, trial in tried)
    lines = []
    for place in sorted({(mutant.room, mutant.language) for mutant, _ in tried}):
        numbers = [kinds[place, outcome] for outcome in ("failed", "stopped", "passed", "broken")]
        lines.append((*place, sum(numbers), *numbers))
    lines.append(("all", "", *(sum(line[column] for line in lines) for column in range(2, 7))))
    click.echo()
    click.echo(tabulate(lines, ["room", "kind", "changes", "killed", "killed by time", "survived", "not judged"]))
    judged = [trial.outcome for _, trial in tried if trial.outcome != "broken"]
    if judged:
        killed = sum(outcome != "passed" for outcome in judged)
        click.echo(f"\n{killed} of {len(judged)} changes were killed: {killed / len(judged):.1%}. Survivors:\n")
    for mutant, trial in tried:
        if trial.outcome in ("passed", "broken"):
            click.echo(f"{mutant}{'' if trial.outcome == 'passed' else f'  (not judged: {trial.told})'}")


@click.command()
@click.option("--python", "python_count", default=400, show_default=True, help="Changes of Python code.")
@click.option("--sql", "sql_count", default=100, show_default=True, help="Changes of SQL.")
@click.option("--seed", type=int, help="Of the sample; chosen if not given.")
@click.option("--workers", default=2, show_default=True, help="Changes that are tried at once.")
@click.option(
    "--notes",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to keep what tests call, room by room, and to take it from if an earlier run kept it there.",
)
@click.option("--most-seconds", default=inf, help="Of the tests of a change, run the quickest that take this long.")
def main(
    python_count: int, sql_count: int, seed: int | None, workers: int, notes: Path | None, most_seconds: float
) -> None:
    """Change the code, a place at a time, run the tests of its room, and name the changes that no test noticed."""
    seed = SystemRandom().randrange(2**32) if seed is None else seed
    state = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=TOP, capture_output=True, text=True)
    click.echo(f"Seed {seed}, commit {state.stdout.strip()}.")
    forget_settings()
    lines = {room: sum(len((TOP / f).read_text().splitlines()) for f in files_of(room, ".py")) for room in ROOMS}
    statements = {room: sum(1 for _ in sql_mutants(room)) for room in ROOMS}
    random = Random(seed)  # noqa: S311 (no secret)
    mutants = draw(lines, python_count, draw_python_mutants, random)
    mutants += draw(statements, sql_count, draw_sql_mutants, random)
    random.shuffle(mutants)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        checkouts = [Path(folder) / str(number) / "checkout" for number in range(workers)]
        for checkout in checkouts:
            copy_checkout(checkout)
        benches = Benches([Bench(checkout) for checkout in checkouts])
        notes = notes or Path(folder)
        notes.mkdir(exist_ok=True)
        tried = try_all(benches, mutants, notes, most_seconds)
    report(tried)
    click.echo(f"\n{(time.monotonic() - started) / 60:.0f} minutes.")


if __name__ == "__main__":
    main()
