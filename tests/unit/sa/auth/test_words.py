"""ikepy.sa.auth.words: texts for our own log, short whatever a stranger offers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.identity import Identity
from ikepy.sa.auth.words import MAX_SHOWN, identity, no_secret, shortened
from ikepy.wire.constants import IdType


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (None, "anybody"),
        (Identity(IdType.FQDN, b"192.0.2.1"), 'FQDN "192.0.2.1"'),
        (Identity(IdType.IPV4_ADDR, bytes([192, 0, 2, 1])), 'address "192.0.2.1"'),
    ],
)
def test_an_identity_has_its_type(of: Identity | None, text: str) -> None:
    assert identity(of) == text


def test_texts_are_cut() -> None:
    assert shortened("x" * MAX_SHOWN) == "x" * MAX_SHOWN
    assert shortened("x" * (MAX_SHOWN + 1)) == "x" * MAX_SHOWN + "..."


@given(st.sampled_from(list(IdType)), st.binary(max_size=5000))
def test_no_identity_fills_or_breaks_the_log(type: IdType, data: bytes) -> None:
    text = identity(Identity(type, data))
    assert len(text) <= MAX_SHOWN + 3
    assert text.isprintable()
    assert len(no_secret(Identity(type, data), Identity(type, data))) <= 2 * (MAX_SHOWN + 3) + 60
