"""A store in which the health of sensors can be judged."""

import pytest

from aqi_dagster.pipeline.store.sql import Writer


@pytest.fixture
def network(connection: Writer) -> Writer:
    """The store's private database, with all that the health of sensors needs."""
    return connection
