"""MS-CHAPv2 against the examples of RFC 2759 9.2 and RFC 3079 3.5.3."""

from __future__ import annotations

from ikepy.crypto import mschapv2
from ikepy.crypto.secret import Secret

AUTHENTICATOR_CHALLENGE = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
CHALLENGE = bytes.fromhex("D02E4386BCE91226")
NT_HASH = bytes.fromhex("44EBBA8D5312B8D611474411F56989AE")
RESPONSE = bytes.fromhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
AUTHENTICATOR_RESPONSE = bytes.fromhex("407A5589115FD0D6209F510FE9C04566932CDA56")
SEND_START_KEY = bytes.fromhex("8B7CDC149B993A1BA118CB153F56DCCB")  # the server's


def test_nt_hash() -> None:
    assert mschapv2.nt_hash(Secret(b"clientPass")).expose() == NT_HASH


def test_challenge_hash() -> None:
    assert mschapv2.challenge_hash(PEER_CHALLENGE, AUTHENTICATOR_CHALLENGE, b"User") == CHALLENGE


def test_response() -> None:
    assert mschapv2.nt_response(Secret(NT_HASH), CHALLENGE) == RESPONSE


def test_authenticator_response() -> None:
    assert mschapv2.authenticator_response(Secret(NT_HASH), RESPONSE, CHALLENGE) == AUTHENTICATOR_RESPONSE


def test_server_sends_by_the_second_part_of_the_msk() -> None:
    msk = mschapv2.msk(Secret(NT_HASH), RESPONSE).expose()
    assert msk[16:32] == SEND_START_KEY
    assert msk[32:] == bytes(32)
    assert len(msk) == 64


def test_a_password_beyond_ascii_is_hashed_as_utf_16() -> None:
    assert mschapv2.nt_hash(Secret("pässwörd".encode())) == mschapv2.nt_hash(
        Secret("pässwörd".encode("latin-1"))
    )
