"""No secret of one test is known to the next."""

from collections.abc import Iterator

import pytest

from syncd.secrets.cache import CACHE


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    CACHE.forget()
    yield
    CACHE.forget()
