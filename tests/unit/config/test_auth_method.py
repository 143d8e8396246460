"""The words of `auth`: methods, and what keys and hashes they permit."""

from __future__ import annotations

import pytest

from ikepy.config import auth_method
from ikepy.config.auth_method import EAP, KeyRule, key_permitted, parse, permitted
from ikepy.crypto.schemes import KeyFacts, KeyKind
from ikepy.wire.constants import HashAlgorithm

RSA_2048, RSA_3072 = KeyFacts(KeyKind.RSA, 2048), KeyFacts(KeyKind.RSA, 3072)
P256, P384, ED25519 = (
    KeyFacts(KeyKind.ECDSA, 256),
    KeyFacts(KeyKind.ECDSA, 384),
    KeyFacts(KeyKind.ED25519, 256),
)
SHA256, SHA384, IDENTITY = HashAlgorithm.SHA2_256, HashAlgorithm.SHA2_384, HashAlgorithm.IDENTITY


@pytest.mark.parametrize(
    ("text", "kind", "eap"),
    [("psk", "psk", ""), ("PubKey", "pubkey", ""), *((one, "eap", one) for one in EAP)],
)
def test_methods(text: str, kind: str, eap: str) -> None:
    found = parse(text)
    assert (found.kind, found.eap) == (kind, eap)
    assert found.chain == found.ike == ()
    assert str(found) == text.lower()


def test_constraints() -> None:
    found = parse("rsa-3072-sha384-ecdsa-256-sha256-sha384")
    assert found.kind == "pubkey"
    assert found.chain == found.ike
    assert found.chain == (
        KeyRule(KeyKind.RSA, bits=3072, hashes=(SHA384,)),
        KeyRule(KeyKind.ECDSA, bits=256, hashes=(SHA256, SHA384)),
    )
    only_ike = parse("ike:rsa/pss-sha512")
    assert only_ike.chain == ()
    assert only_ike.ike == (KeyRule(KeyKind.RSA, pss=True, hashes=(HashAlgorithm.SHA2_512,)),)
    assert parse("ike:rsa-pss-sha512").ike == only_ike.ike


@pytest.mark.parametrize(
    ("text", "key", "hash", "pss", "so"),
    [
        ("pubkey", RSA_2048, SHA256, False, True),
        ("rsa-3072", RSA_2048, SHA256, False, False),
        ("rsa-3072", RSA_3072, SHA256, False, True),
        ("rsa-3072-sha384", RSA_3072, SHA256, False, False),
        ("rsa-3072-sha384", RSA_3072, SHA384, True, True),
        ("rsa/pss", RSA_3072, SHA384, False, False),
        ("rsa/pss", RSA_3072, SHA384, True, True),
        ("rsa-3072-ecdsa-384", P256, SHA256, False, False),
        ("rsa-3072-ecdsa-384", P384, SHA256, False, True),
        ("rsa-3072-ecdsa-384", ED25519, IDENTITY, False, False),
        ("pubkey-sha384", P256, SHA256, False, False),
        ("pubkey-sha384", P256, SHA384, False, True),
        ("pubkey-sha384", ED25519, IDENTITY, False, True),  # which has no other
        ("ed25519", ED25519, IDENTITY, False, True),
        ("ecdsa", P256, None, False, True),
        ("ecdsa-sha256", P256, None, False, False),
    ],
)
def test_what_they_permit(text: str, key: KeyFacts, hash: HashAlgorithm | None, pss: bool, so: bool) -> None:
    assert permitted(parse(text).ike, key, hash, pss=pss) is so


def test_keys_alone() -> None:
    rules = parse("rsa-3072-sha384-ecdsa-384").chain
    assert key_permitted(rules, RSA_3072)
    assert not key_permitted(rules, RSA_2048)
    assert not key_permitted(rules, P256)
    assert key_permitted((), RSA_2048)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "allowed: "),
        ("none", "allowed: "),
        ("sha256", "allowed: "),
        ("xauth", '"xauth" is not supported'),
        ("eap-ttls", '"eap-ttls" is not supported'),
        ("pubkey-2048", "a size stands behind the kind of key"),
        ("rsa-2048-3072", "a size stands behind the kind of key"),
        ("rsa-sha256-2048", "a size stands behind the kind of key"),
        ("rsa-md5", '"md5" is no kind of key, size or hash'),
        ("rsa-99999", '"99999" is no kind of key, size or hash'),
        ("rsa-\x1b[2J", '"?" is no kind of key'),
        ("bliss", "allowed: "),
    ],
)
def test_mistakes(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert why in str(caught.value)


def test_every_word_is_documented() -> None:
    for word in ("psk", "pubkey", *EAP):
        assert f'"{word}"' in auth_method.ALLOWED
