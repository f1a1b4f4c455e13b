"""What is compiled is kept beside the source where that can be, and compiled anew where not."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aqi_dagster.pipeline.decoding import scanner

READING = b'{"created_at": "2022-07-18 06:00:00 UTC", "PM2.5_CF1_ug/m3": "7.5"}'


def in_a_process_of_its_own(**environment: str) -> subprocess.CompletedProcess[str]:
    """Scan one reading."""
    code = (
        "import logging; logging.basicConfig()\n"
        "import pyarrow as pa\n"
        "from aqi_dagster.pipeline.decoding.fast_path import scan\n"
        f"print(scan(pa.chunked_array([[{READING!r}]], pa.binary()))[0].tolist())"
    )
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )


@pytest.mark.long
def test_it_is_compiled_anew_where_nothing_can_be_kept() -> None:
    # Numba then has nowhere to write to, as in a folder that it may not change.
    process = in_a_process_of_its_own(NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator")
    assert process.stdout == "[True]\n"
    assert "compiled anew in each run" in process.stderr


@pytest.mark.long
def test_it_is_compiled_anew_where_what_was_kept_is_damaged(tmp_path: Path) -> None:
    assert in_a_process_of_its_own(NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""
    (index,) = tmp_path.rglob("*.nbi")
    index.write_bytes(b"")
    process = in_a_process_of_its_own(NUMBA_CACHE_DIR=str(tmp_path))
    assert process.stdout == "[True]\n"
    assert "compiled anew in each run" in process.stderr


def test_nothing_that_other_files_define_is_kept_compiled() -> None:
    tree = ast.parse(inspect.getsource(scanner))
    of_other_files = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("aqi_dagster")
        for alias in node.names
    }
    functions = [function.py_func for function in vars(scanner).values() if hasattr(function, "py_func")]
    assert scanner.scan_messages.py_func in functions
    for function in functions:
        assert of_other_files.isdisjoint(function.__code__.co_names)
