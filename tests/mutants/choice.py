"""Which of a room's tests are run on a change: those that call the function in which it is made, quick ones first."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import PIPELINE, Mutant

Function = tuple[str, str]
"""A file, from the top of the checkout, and the qualified name of a function in it that is in no other function."""

_QUICK_SECONDS = (0.3, 2.0, 10.0)
"""Tests are sorted by these, and not by their very time, so that those of a file mostly stay together."""


@dataclass(frozen=True)
class WatchedTest:
    """A test's name, how long it took on the code as it is, and the functions that it called."""

    name: str
    seconds: float
    functions: frozenset[Function]


def read_watched(file: Path) -> list[WatchedTest]:
    """What the plugin noted, in the order of the tests."""
    return [
        WatchedTest(test, notes["seconds"], frozenset((path, name) for path, name in notes["functions"]))
        for test, notes in json.loads(file.read_text()).items()
    ]


def choose(mutant: Mutant, tests: Sequence[WatchedTest], top: Path) -> list[WatchedTest]:
    """The tests to run on ``mutant`` of the checkout ``top``: those that call what it changes.

    Those of the file named after the changed one come first, and else the quickest.

    A change outside of functions is of a constant, and so of the functions that name it. If no test calls any of these,
    tests are chosen that call anything in a file of the room that names the changed one; if there is none either, all.
    """
    modules = {
        str(path.relative_to(top)): path.read_text() for path in sorted((top / PIPELINE / mutant.room).rglob("*.py"))
    }
    functions = set(_functions_changed(mutant, modules))
    name = mutant.file.stem if mutant.file.suffix == ".py" else mutant.file.name
    files = {str(mutant.file), *(file for file, code in modules.items() if name in code)}
    chosen = [test for test in tests if test.functions & functions]
    chosen = chosen or [test for test in tests if any(file in files for file, _ in test.functions)]
    own = f"/test_{mutant.file.stem}.py::"
    return sorted(
        chosen or tests, key=lambda test: (own not in test.name, sum(test.seconds > limit for limit in _QUICK_SECONDS))
    )


def _functions_changed(mutant: Mutant, modules: Mapping[str, str]) -> Iterator[Function]:
    if mutant.file.suffix != ".py":
        return
    code = modules[str(mutant.file)]
    within = [name for name, first, last in _functions(code) if first <= mutant.line <= last]
    if within:
        yield str(mutant.file), within[0]
        return
    names = _constants_changed(code, mutant.line)
    if not names:
        return
    named = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
    for file, text in modules.items():
        if file == str(mutant.file) or mutant.file.stem in text:
            lines = text.splitlines()
            for name, first, last in _functions(text):
                if named.search("\n".join(lines[first - 1 : last])):
                    yield file, name


def _functions(code: str) -> Iterator[tuple[str, int, int]]:
    """Qualified name, first line (that of a decorator) and last line of each function that is in no other function."""
    todo: list[tuple[str, ast.stmt]] = [("", node) for node in ast.parse(code).body]
    while todo:
        within, node = todo.pop()
        if isinstance(node, ast.ClassDef):
            todo += [(f"{within}{node.name}.", child) for child in node.body]
        elif isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield f"{within}{node.name}", first, node.end_lineno or node.lineno


def _constants_changed(code: str, line: int) -> set[str]:
    """The constants of the module that the statement in ``line`` makes, and those that are made from them."""
    made: list[tuple[set[str], set[str], bool]] = []
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            made.append((names, used, node.lineno <= line <= (node.end_lineno or node.lineno)))
    changed: set[str] = set()
    for names, used, is_changed in made:
        if is_changed or used & changed:
            changed |= names
    return changed
