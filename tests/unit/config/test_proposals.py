"""Proposals in strongSwan's keywords."""

import pytest

from ikepy.config.proposals import KE, default, parse, to_text
from ikepy.crypto.kex import registry
from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform

IKE, ESP = ProtocolId.IKE, ProtocolId.ESP
NO_ESN = Transform(TransformType.ESN, Esn.NO_ESN)


def one(text: str, protocol: ProtocolId) -> Proposal:
    (proposal,) = parse(text, protocol)
    return proposal


def test_aead_for_ike() -> None:
    assert one("aes128gcm16-prfsha256-x25519", IKE) == Proposal(
        0,
        IKE,
        b"",
        (
            Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),
            Transform(TransformType.PRF, Prf.HMAC_SHA2_256),
            Transform(TransformType.KE, KeGroup.CURVE_25519),
        ),
    )


def test_prf_comes_from_the_integrity_algorithm() -> None:
    assert one("aes256-sha384-modp3072", IKE).transforms == (
        Transform(TransformType.ENCR, Encr.AES_CBC, 256),
        Transform(TransformType.PRF, Prf.HMAC_SHA2_384),
        Transform(TransformType.INTEG, Integ.HMAC_SHA2_384_192),
        Transform(TransformType.KE, KeGroup.MODP_3072),
    )
    assert to_text(one("aes128-sha1-sha512-modp2048", IKE)) == "aes128-prfsha1-prfsha512-sha1-sha512-modp2048"


def test_own_prf_is_kept() -> None:
    assert to_text(one("aes256-sha1-prfsha512-ecp384", IKE)) == "aes256-prfsha512-sha1-ecp384"


def test_integrity_beside_an_aead_only_gives_the_prf() -> None:
    assert to_text(one("aes128gcm16-sha256-x25519", IKE)) == "aes128gcm16-prfsha256-x25519"
    assert to_text(one("aes128gcm16-sha256", ESP)) == "aes128gcm16-noesn"


def test_several_of_one_kind_keep_their_order() -> None:
    text = "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521"
    assert to_text(one(text, IKE)) == text


@pytest.mark.parametrize("text", ["aes128gcm16", "aes256-sha256", "chacha20poly1305", "aes128gcm16-x25519"])
def test_esn_is_stated(text: str) -> None:
    assert one(text, ESP).transforms[-1] == NO_ESN


def test_esn_as_asked() -> None:
    assert to_text(one("aes128gcm16-esn", ESP)) == "aes128gcm16-esn"
    assert to_text(one("aes128gcm16-esn-noesn", ESP)) == "aes128gcm16-esn-noesn"


def test_prf_in_esp_is_ignored_and_pfs_may_be_optional() -> None:
    assert to_text(one("aes128gcm16-prfsha256-ecp256-modpnone", ESP)) == "aes128gcm16-ecp256-modpnone-noesn"


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("aes", "aes128"),
        ("aes256gcm128", "aes256gcm16"),
        ("aes192gcm96", "aes192gcm12"),
        ("aes128gcm64", "aes128gcm8"),
        ("AES128GCM16", "aes128gcm16"),
        ("aes256gcm", "aes256gcm16"),
        ("aes256gcm16-ecp256-none", "aes256gcm16-ecp256-modpnone"),
    ],
)
def test_second_words(word: str, same: str) -> None:
    assert parse(f"{word}-sha256", ESP) == parse(f"{same}-sha256", ESP)


def test_second_words_of_groups_and_hashes() -> None:
    assert parse("aes128-sha2_256-curve25519", IKE) == parse("aes128-sha256-x25519", IKE)


def test_chacha_has_no_key_length() -> None:
    assert one("chacha20poly1305", ESP).transforms[0] == Transform(TransformType.ENCR, Encr.CHACHA20_POLY1305)


def test_only_groups_that_work_here_are_known() -> None:
    assert {transform.id for transform in KE.values()} <= registry.supported()


@pytest.mark.parametrize(
    ("text", "protocol", "part"),
    [
        ("aes128-foo-x25519", IKE, 'unknown algorithm "foo"'),
        ("aes129-sha256-x25519", IKE, "did you mean"),
        ("3des-sha256-modp2048", IKE, '"3des" is not supported by ikepy'),
        ("aes128ccm16-x25519", IKE, '"aes128ccm16" is not supported by ikepy'),
        ("aes128-sha256", IKE, "no key exchange; allowed: x25519"),
        ("sha256-x25519", IKE, "no encryption algorithm; allowed: aes128"),
        ("aes128-x25519", IKE, "no integrity algorithm beside aes128; allowed: sha1, sha256"),
        ("aes128gcm16-x25519", IKE, "no PRF, which an AEAD needs; allowed: prfsha1"),
        ("aes128gcm16-aes128-sha256-x25519", IKE, "can't share one proposal"),
        ("aes128-sha256-x25519-noesn", IKE, "no place in an IKE proposal"),
        ("aes128-sha256-modpnone", IKE, "no place in an IKE proposal"),
        ("aes128", ESP, "no integrity algorithm"),
        ("null-sha256", ESP, '"null" is not supported'),
        ("aes128--sha256", ESP, 'missing beside a "-"'),
        ("", ESP, "an algorithm is missing"),
    ],
)
def test_mistakes(text: str, protocol: ProtocolId, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse(text, protocol)


# The log of charon 5.9.8 with `proposals = default`, less CTR, CCM, Camellia, 3DES, XCBC and CMAC, and less
# modp6144 and modp8192: with these strangers' requests cost most.
CHARON_IKE = [
    "aes128-aes192-aes256-prfsha256-prfsha384-prfsha512-prfsha1-sha256-sha384-sha512-sha1-x25519-x448-ecp256-"
    "ecp384-ecp521-ecp256bp-ecp384bp-ecp512bp-modp3072-modp4096-modp2048",
    "aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-aes128gcm8-aes192gcm8-aes256gcm8-aes128gcm12-"
    "aes192gcm12-aes256gcm12-prfsha256-prfsha384-prfsha512-prfsha1-x25519-x448-ecp256-ecp384-ecp521-ecp256bp-"
    "ecp384bp-ecp512bp-modp3072-modp4096-modp2048",
]
CHARON_ESP = [
    "aes128-aes192-aes256-sha256-sha384-sha512-sha1-noesn",
    "aes128gcm16-aes192gcm16-aes256gcm16-noesn",
]


def supported(text: str) -> str:
    """Without the groups that the library on this machine lacks."""
    groups = ("ecp", "modp", "x25519", "x448")
    return "-".join(word for word in text.split("-") if not word.startswith(groups) or word in KE)


def test_costly_groups_are_there_by_name() -> None:
    (proposal,) = parse("aes128-sha256-modp6144-modp8192", IKE)
    groups = {t.id for t in proposal.transforms if t.type == TransformType.KE}
    assert groups == {KeGroup.MODP_6144, KeGroup.MODP_8192}
    offered = {t.id for one in default(IKE) for t in one.transforms if t.type == TransformType.KE}
    assert not offered & groups


def test_defaults_are_charons() -> None:
    assert [to_text(proposal) for proposal in default(IKE)] == [supported(text) for text in CHARON_IKE]
    assert [to_text(proposal) for proposal in default(ESP)] == CHARON_ESP
    assert parse("default", IKE) == default(IKE)
    assert parse("default", ESP) == default(ESP)


def test_weak_groups_are_never_in_the_default() -> None:
    weak = {KeGroup.MODP_1024, KeGroup.MODP_1536}
    assert not any(t.id in weak for p in default(IKE) for t in p.transforms if t.type == TransformType.KE)
    for text in ("aes128-sha1-modp1024", "aes128-sha1-modp1536"):
        assert to_text(one(text, IKE)).endswith(text.split("-")[-1])
