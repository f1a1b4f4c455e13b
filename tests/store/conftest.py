"""Stores that older releases left, and one that this release has just made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aqi_dagster.pipeline.store.connections import Store
from aqi_dagster.pipeline.store.sql import Writer
from tests.support.released import STORES, store_id, unpack_store

RELEASED = [
    path if int(path.name.split("_")[0]) >= 3 else pytest.param(path, marks=pytest.mark.long, id=store_id(path))
    for path in STORES
]
"""The stores; those of the first two versions, of which there are eight, are opened by `make test-long`."""


@pytest.fixture(params=RELEASED, ids=store_id)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store as a release left it."""
    return unpack_store(request.param, tmp_path / "released")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Writer]:
    """A store that this release has just made."""
    with Store(tmp_path / "fresh").exclusive() as writer:
        yield writer
