"""Running ``aqi-dagster`` as a user does: a process of its own, configured by the environment."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import LIMIT_SECONDS

COMMAND = Path(sys.executable).with_name("aqi-dagster")


@dataclass(frozen=True)
class Site:
    """A folder with everything that an installation keeps, and the settings that its commands get."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands: the test's own, with the site's settings."""
        kept = {"AQI_DATA_DIR": str(self.folder / "data"), "DAGSTER_HOME": str(self.folder / "dagster")}
        return os.environ | kept | self.settings

    @property
    def published(self) -> Path:
        """The published copy."""
        return self.folder / "data" / "aqi.duckdb"

    def run(
        self, *arguments: str, check: bool = True, command: Sequence[str | Path] = (COMMAND,)
    ) -> subprocess.CompletedProcess[str]:
        """Run ``command``, ``aqi-dagster``, with ``arguments`` in the site's folder; it must succeed if ``check``."""
        finished = subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert not check or finished.returncode == 0, finished.stdout + finished.stderr
        return finished
