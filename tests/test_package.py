"""What the archives of a release hold."""

import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from aqi_dagster.dagster_home import shipped_settings
from tests.support.package import build, files_of_git
from tests.support.places import TOP

PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source archive."""
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def metadata(archives: tuple[Path, Path]) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(archives[0]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(wheel.read(name))


def test_the_wheel_holds_each_file_of_the_package_and_no_other(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[0]) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {str(path): (TOP / path).read_bytes() for path in files_of_git("aqi_dagster")}


def test_the_settings_that_lie_at_the_top_are_those_that_travel(archives: tuple[Path, Path]) -> None:
    assert shipped_settings() == (TOP / "dagster.yaml").read_text()
    with zipfile.ZipFile(archives[0]) as wheel:
        assert wheel.read("aqi_dagster/dagster.yaml") == (TOP / "dagster.yaml").read_bytes()
        assert wheel.read("aqi_dagster/settings.env") == (TOP / ".env.example").read_bytes()


def test_the_source_archive_has_what_operators_read(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for name in ("LICENSE", "CHANGELOG.md", "constraints.txt", "dagster.yaml", "workspace.yaml", ".env.example"):
        assert name in names
    assert {str(path) for path in files_of_git("docs")} <= names


def test_the_metadata_claims_what_is_tested(metadata: Message) -> None:
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0 AND ISC"
    assert metadata.get_all("License-File") == ["LICENSE", "aqi_dagster/web/data/NOTICE"]
    languages = [name for name in metadata.get_all("Classifier", []) if name.startswith("Programming Language ::")]
    assert languages == ["Programming Language :: Python :: 3.11"]
    assert "3.11" in metadata["Requires-Python"]


def test_the_changelog_begins_with_this_version() -> None:
    headings = [line for line in (TOP / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].startswith(f"## {PROJECT['version']}")
    assert headings[-1].startswith("## 0.1.0")
