"""Who has no certificate and no key believes nobody."""

from __future__ import annotations

import pytest

from ikepy.config.model import AuthLocal, AuthRemote, Identity
from ikepy.crypto.schemes import Scheme
from ikepy.errors import LocalMisuse
from ikepy.sa.auth.credentials import NO_CREDENTIALS, Presented, Untrusted


def test_nothing_is_there_and_nobody_believed() -> None:
    identity = Identity.parse("gw.example.org")
    assert identity is not None
    assert NO_CREDENTIALS.own(AuthLocal(), identity, ()) is None
    assert NO_CREDENTIALS.cas(AuthRemote()) == ()
    assert isinstance(NO_CREDENTIALS.verify(AuthRemote(), identity, Presented((b"x",)))(), Untrusted)
    with pytest.raises(LocalMisuse):
        NO_CREDENTIALS.sign("00", Scheme.ED25519, b"octets")
