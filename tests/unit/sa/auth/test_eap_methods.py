"""Which EAP methods a connection has, with which passwords."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.config.toml_source import parse
from ikepy.crypto.auth import SignedOctets
from ikepy.eap.packet import EapType, Packet
from ikepy.eap.peer import Peer
from ikepy.eap.turns import Say
from ikepy.sa.auth import eap_methods
from ikepy.sa.auth.authenticator import Context
from ikepy.sa.auth.shared_secrets import SharedSecrets
from ikepy.wire.constants import Prf

SECRETS = """
[secrets.eap-alice]
ids = ["alice"]
secret = "open sesame"
[secrets.ntlm-bob]
ids = ["bob"]
secret = "0x44EBBA8D5312B8D611474411F56989AE"
"""


def context(text: str = SECRETS) -> Context:
    gw = Identity.parse("gw")
    assert gw is not None
    secrets = SharedSecrets(parse(text))
    return Context(secrets, lambda size: b"x" * size, Prf.HMAC_SHA2_256, gw, gw, SignedOctets(b"", b"", b""))


def first_type(word: str, context: Context) -> int | None:
    begin = eap_methods.server(AuthRemote.model_validate({"auth": word}), AuthLocal(), context)
    assert not isinstance(begin, str)
    turn = begin("alice", 0)
    assert isinstance(turn, Say)
    return Packet.decode(turn.octets).type


def test_the_server_proposes_what_is_configured() -> None:
    assert first_type("eap-md5", context()) == EapType.MD5
    assert first_type("eap-mschapv2", context()) == EapType.MSCHAPV2
    assert first_type("eap-dynamic", context()) == EapType.MSCHAPV2  # without a certificate


@pytest.mark.parametrize(
    ("word", "why"), [("eap-tls", eap_methods.NO_KEY), ("eap-radius", eap_methods.NO_RELAY)]
)
def test_what_a_server_lacks_is_told(word: str, why: str) -> None:
    assert eap_methods.server(AuthRemote.model_validate({"auth": word}), AuthLocal(), context()) == why


def peer(word: str, user: str) -> Peer | str:
    return eap_methods.peer(AuthLocal.model_validate({"auth": word, "eap_id": user}), context())


def test_a_peer_has_what_its_secrets_serve() -> None:
    both, hash_alone = peer("eap", "alice"), peer("eap", "bob")
    assert isinstance(both, Peer) and isinstance(hash_alone, Peer)
    assert [one.type for one in both.methods] == [EapType.MSCHAPV2, EapType.MD5]
    assert [one.type for one in hash_alone.methods] == [EapType.MSCHAPV2]


def test_what_a_peer_lacks_is_told() -> None:
    assert "no password is configured for 'carol'" in str(peer("eap-mschapv2", "carol"))
    assert peer("eap-tls", "alice") == eap_methods.NO_KEY


def test_our_user_is_our_identity_unless_configured() -> None:
    assert eap_methods.own_user(AuthLocal(), context()) == "gw"
    assert eap_methods.own_user(AuthLocal.model_validate({"eap_id": "alice"}), context()) == "alice"


def test_what_a_turn_costs() -> None:
    assert eap_methods.effort("eap-md5").seconds == 0
    assert eap_methods.effort("eap-tls").seconds > 0
    assert eap_methods.effort("eap-radius").waits


@pytest.mark.parametrize("name", ["", "*", "%any", "*@example.org", "\0"])
def test_a_name_that_is_none_has_no_password(name: str) -> None:
    assert SharedSecrets(parse(SECRETS)).user(name) is None


def test_users_are_not_found_by_pre_shared_keys_nor_the_other_way() -> None:
    config = parse('[secrets.ike-x]\nids = ["alice"]\nsecret = "k"\n' + SECRETS.replace("alice", "carol"))
    assert config.user("alice") is None
    assert config.psk(None, Identity.parse("carol")) is None


def test_a_stranger_finds_nobody() -> None:
    """The look-up is done all the same."""
    begin = eap_methods.server(
        AuthRemote.model_validate({"auth": "eap-md5"}), AuthLocal(), replace(context(), known=False)
    )
    assert not isinstance(begin, str)
    assert isinstance(begin("alice", 0), Say)
