"""A store in which the health of sensors can be judged."""

import pytest
from duckdb import DuckDBPyConnection

from tests.support.health import prepare_health


@pytest.fixture
def network(connection: DuckDBPyConnection) -> DuckDBPyConnection:
    """The store's private database, with all that the health of sensors needs."""
    prepare_health(connection)
    return connection
