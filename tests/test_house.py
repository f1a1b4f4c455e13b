"""How the code is kept: short functions, rooms that say what they are for, and tests that stand alone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.places import TOP

PACKAGE = TOP / "aqi_dagster"

LONGEST_FUNCTION = 40
"""Lines, signature and docstring included."""

ONE_PIECE = "aqi_dagster/pipeline/decoding/scanner.py"
"""Compiled code: calls that hand over arrays cost more than the work, so a message is scanned by one long function."""


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file and how many lines each has."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_function_is_long_but_the_scanners() -> None:
    found = [
        f"{path.relative_to(TOP)}::{name} has {lines} lines"
        for path in PACKAGE.rglob("*.py")
        if str(path.relative_to(TOP)) != ONE_PIECE
        for name, lines in functions(path)
        if lines > LONGEST_FUNCTION
    ]
    assert found == []


def test_every_room_says_what_it_is_for() -> None:
    rooms = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    assert len(rooms) > 10
    assert [str(path) for path in rooms if ast.get_docstring(ast.parse(path.read_text())) is None] == []


IN_A_TEST = re.compile(r"\.|tests\.(.+\.)?(test_|conftest\b)")
"""The name of a test module, of a conftest, or of something in one of them; or a relative one, which may be any."""


def imports(path: Path) -> set[str]:
    """Everything that a file imports, by its full name; relative imports by their dots."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return names


def test_no_test_module_imports_from_another() -> None:
    imported = {str(path.relative_to(TOP)): imports(path) for path in (TOP / "tests").rglob("*.py")}
    assert "tests.support.places.TOP" in imported["tests/test_house.py"]
    of_tests = {path: sorted(filter(IN_A_TEST.match, names)) for path, names in imported.items()}
    assert {path: names for path, names in of_tests.items() if names} == {}
