"""axe-core, which looks for barriers in a page.

npm fetches what package.json names, once, into a folder that git ignores.
"""

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from tests.support.lacking import lacking
from tests.support.places import TOP

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = TOP / "tests" / "browser" / "axe"

SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"

FETCH_TIMEOUT_SECONDS = 120.0

_RUN = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


def axe_script() -> str:
    """axe-core's JavaScript; the test is skipped where it cannot be had."""
    (FOLDER / "node_modules").mkdir(exist_ok=True)
    with FileLock(FOLDER / "node_modules" / ".lock", timeout=2 * FETCH_TIMEOUT_SECONDS):
        if not SCRIPT.exists():
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip(lacking("npm"))
            try:
                subprocess.run(
                    [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"],
                    cwd=FOLDER,
                    check=True,
                    capture_output=True,
                    timeout=FETCH_TIMEOUT_SECONDS,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                pytest.skip(lacking("axe-core, which npm could not fetch"))
    return SCRIPT.read_text()


def barriers(page: "Page") -> list[str]:
    """What axe-core finds in a page that is serious or critical, each with the first element of its kind."""
    page.evaluate(axe_script())
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
