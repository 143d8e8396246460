"""ikepy.sa.auth.ppk: what stands in the messages for a postquantum preshared key (RFC 8784 3, 5.1)."""

from __future__ import annotations

from ikepy.config.identity import Identity
from ikepy.crypto.auth import SignedOctets
from ikepy.sa.auth import ppk
from ikepy.sa.auth.authenticator import Received
from ikepy.wire.constants import AuthMethod, NotifyType
from ikepy.wire.payloads import AuthPayload, NotifyPayload


def identity(text: str) -> Identity:
    found = Identity.parse(text)
    assert found is not None
    return found


def test_identifier() -> None:
    assert ppk.id_of(identity("ppk1")) == b"\x02ppk1"
    assert ppk.identifier([NotifyPayload(NotifyType.PPK_IDENTITY, b"\x02ppk1")]) == b"\x02ppk1"
    assert ppk.identifier([]) is None
    assert ppk.is_used([NotifyPayload(NotifyType.PPK_IDENTITY)])
    assert not ppk.is_used([NotifyPayload(NotifyType.NO_PPK_AUTH, b"x")])


def test_offer() -> None:
    named = NotifyPayload(NotifyType.PPK_IDENTITY, b"\x02ppk1")
    assert ppk.offer([]) is None
    assert ppk.offer([NotifyPayload(NotifyType.NO_PPK_AUTH, b"proof")]) is None
    assert ppk.offer([named]) == ppk.Offer(b"\x02ppk1", None)
    assert ppk.offer([named, NotifyPayload(NotifyType.NO_PPK_AUTH, b"proof")]) == ppk.Offer(
        b"\x02ppk1", b"proof"
    )


def test_proof_that_does_without() -> None:
    """The method stays, the data is the notify's."""
    auth = AuthPayload(AuthMethod.SHARED_KEY_MIC, b"with")
    message = Received((auth,), identity("gwa"), SignedOctets(b"", b"", b""))
    (changed,) = ppk.doing_without(message, b"without").payloads
    assert changed == AuthPayload(AuthMethod.SHARED_KEY_MIC, b"without")
