"""Hypothesis without deadlines: the machine may be busy, and no test here is about speed."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("ikepy", deadline=None, print_blob=True)
settings.load_profile("ikepy")


@pytest.fixture(scope="module")
def turns_without_haste() -> Iterator[None]:
    """No turn of a worker ends before its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("esp.outward._TURN", 60.0)
        yield
