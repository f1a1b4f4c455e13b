"""Where tests find what they share: in tests/support, never in each other."""

import ast
import re
from pathlib import Path

from tests.support.places import TOP


def imports(file: Path) -> set[str]:
    """Everything that ``file`` imports, by its full name; relative imports by their dots."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return names


IN_A_TEST = re.compile(r"\.|tests\.(.+\.)?(test_|conftest\b)")
"""The name of a test module, of a conftest, or of something in one of them; or a relative one, which may be any."""


def test_no_test_module_is_imported() -> None:
    found = {file.relative_to(TOP).as_posix(): imports(file) for file in (TOP / "tests").rglob("*.py")}
    assert "tests.support.places" in found["tests/test_layout.py"]
    importing = {file: sorted(filter(IN_A_TEST.match, names)) for file, names in found.items()}
    assert {file: names for file, names in importing.items() if names} == {}
