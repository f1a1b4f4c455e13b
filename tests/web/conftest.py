"""One published copy for all tests of the page."""

from collections.abc import Iterator

import pytest

from tests.support.web_page import Page, publish_network, served


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of six days of the synthetic summer, in a region with a strange name."""
    store = publish_network(tmp_path_factory.mktemp("page"))
    with served(store.published) as page:
        yield page
