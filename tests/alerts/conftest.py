"""The channels of alerts on servers of this machine."""

from collections.abc import Iterator

import pytest

from tests.support.channels import Channels, channels


@pytest.fixture
def servers() -> Iterator[Channels]:
    """Slack, a webhook and a mail server."""
    with channels() as running:
        yield running
