"""docs/guarantees.md promises nothing that no test shows."""

import re

from tests.support.places import TOP

PROMISES = [
    line
    for line in (TOP / "docs" / "guarantees.md").read_text().partition("\n## How the crashes")[0].splitlines()
    if line.count("|") == 4 and not line.startswith(("| promise |", "| --- |"))
]

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_promise_names_its_tests() -> None:
    assert len(PROMISES) > 15
    assert [row for row in PROMISES if not NAMED.search(row)] == []


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall("\n".join(PROMISES))
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (TOP / file).exists() or f"\ndef {test}(" not in (TOP / file).read_text()
    ]
    assert missing == []
