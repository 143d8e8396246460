"""The AUTH value of a pre-shared key: it covers everything it must. Its value is checked in tests/vectors."""

import pytest

from ikepy.crypto.auth import SignedOctets, maced_id, psk_auth, same
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import Prf


def auth(
    psk: bytes = b"psk",
    message: bytes = b"message",
    peer_nonce: bytes = b"nonce",
    sk_p: bytes = b"sk_p",
    id_body: bytes = b"\x02\0\0\0a",
    int_auth: bytes = b"",
) -> bytes:
    maced = maced_id(Prf.HMAC_SHA2_256, Secret(sk_p), id_body)
    octets = SignedOctets(message, peer_nonce, maced, int_auth)
    return psk_auth(Prf.HMAC_SHA2_256, Secret(psk), octets)


def test_same_on_both_sides() -> None:
    assert same(auth(), auth())
    assert len(auth()) == 32


@pytest.mark.parametrize(
    "other",
    [
        auth(psk=b"psK"),
        auth(message=b"messagE"),
        auth(peer_nonce=b"noncE"),
        auth(sk_p=b"sk_P"),
        auth(id_body=b"\x02\0\0\0b"),
        auth(id_body=b"\x03\0\0\0a"),
        auth(int_auth=b"a"),
        auth()[:-1],
        b"",
    ],
)
def test_differs(other: bytes) -> None:
    assert not same(auth(), other)
