"""``python -m benchmarks.weight``: what each package that we ask for costs in MB and in seconds of start.

Of the environment that it runs in, as `make setup` installs it. Sizes are those of the files that pip installed, not of
bytecode. What "would go" is the package and what nothing else needs. Times are processor seconds of a process that
imports it, beyond those of one that imports nothing; the least of several runs.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tabulate import tabulate

from benchmarks.measuring import Figures

OURS = "aqi-dagster"

RUNS = 5

_AS_IMPORTED = {
    "geopy": ["geopy.geocoders"],
    "matplotlib": ["matplotlib.figure", "matplotlib.backends.backend_agg"],
    "pillow": ["PIL.Image"],
    "river": ["river.anomaly"],
    "scipy": ["scipy.stats"],
}
"""Where we import a part of a package that its name alone does not load."""


@cache
def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


@cache
def _needs(name: str, extras: frozenset[str] = frozenset()) -> frozenset[tuple[str, frozenset[str]]]:
    """What the package of that name asks for here, with the extras that it asks for."""
    found = _installed(name)
    asked = [Requirement(text) for text in (found.requires or [])] if found else []
    return frozenset(
        (canonicalize_name(need.name), frozenset(need.extras))
        for need in asked
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    )


def _all_needs(roots: Iterable[tuple[str, frozenset[str]]]) -> set[str]:
    """The names of ``roots`` and of all that they need, and that needs in turn."""
    waiting, seen = [*roots], set()
    while waiting:
        item = waiting.pop()
        if item not in seen:
            seen.add(item)
            waiting.extend(_needs(*item))
    return {name for name, _ in seen if _installed(name) is not None}


@cache
def _megabytes(name: str) -> float:
    found = _installed(name)
    files = (found.files or []) if found else []
    paths = [file.locate() for file in files if not str(file).endswith(".pyc")]
    return sum(os.stat(path).st_size for path in paths if os.path.exists(path)) / 1e6  # noqa: PTH110, PTH116


def _seconds(code: str) -> float:
    """Processor seconds of a process that runs ``code``: the least of several."""
    return min(_once(code) for _ in range(RUNS))


def _once(code: str) -> float:
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise click.ClickException(f"{code} failed")
    return usage.ru_utime + usage.ru_stime


def _modules(name: str) -> list[str]:
    """What we import of the package of that name: the module of its own name, or whatever modules it has."""
    if name in _AS_IMPORTED:
        return _AS_IMPORTED[name]
    modules = [module for module, names in packages_distributions().items() if name in map(canonicalize_name, names)]
    own = name.replace("-", "_")
    return [own] if own in modules else sorted(module for module in modules if module.isidentifier())


def weights() -> list[Figures]:
    """The figures of each package that we ask for, the heaviest first."""
    asked = _needs(OURS)
    everything = _all_needs(asked)
    nothing = _seconds("pass")
    rows = []
    for name, extras in sorted(asked):
        gone = everything - _all_needs(asked - {(name, extras)})
        modules = _modules(name)
        rows.append(
            {
                "package": name,
                "own": _megabytes(name),
                "alone": sum(map(_megabytes, gone)),
                "brings": len(gone),
                "seconds": max(0.0, _seconds(f"import {', '.join(modules)}") - nothing) if modules else 0.0,
            }
        )
    total = {"package": "all", "own": sum(map(_megabytes, everything)), "alone": None, "brings": len(everything)}
    return [*sorted(rows, key=lambda row: -max(row["own"], row["alone"])), total | {"seconds": None}]


@click.command()
def main() -> None:
    """Print the table of docs/dependencies.md."""
    headers = {
        "package": "package",
        "own": "MB",
        "alone": "MB that would go with it",
        "brings": "packages that would go",
        "seconds": "import, s",
    }
    click.echo(tabulate(weights(), headers, tablefmt="github", floatfmt=("", ".1f", ".1f", ".0f", ".2f")))


if __name__ == "__main__":
    main()
