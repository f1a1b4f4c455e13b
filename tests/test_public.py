"""What a stranger finds at the top of the repository agrees with what is done."""

import re
from pathlib import Path

import yaml

from tests.support.places import TOP


def test_a_commit_is_checked_as_make_lint_checks() -> None:
    makefile = (TOP / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    (repository,) = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"] for hook in repository["hooks"]]
    assert hooks == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]


def test_continuous_integration_runs_what_is_run_elsewhere() -> None:
    workflow = yaml.safe_load((TOP / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["run"]["steps"] if "run" in step]
    assert commands[-1] == ".ci/run"
    assert all(package in commands[0] for package in ("chromium", "default-jre-headless", "maven", "postgresql"))


def test_the_forms_for_reports_ask_for_something() -> None:
    forms = [path for path in (TOP / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys()
        assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_pages_link_to_what_is_there() -> None:
    pages = [*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")]
    missing = [
        f"{page.relative_to(TOP)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)", page.read_text())
        if not re.match(r"\w+:", link) and not (page.parent / Path(link)).exists()
    ]
    assert missing == []
