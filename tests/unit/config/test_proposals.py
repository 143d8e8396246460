"""Proposals in strongSwan's keywords."""

import pytest

from ikepy.config.checks.weak_algorithms import weak
from ikepy.config.proposals import KE, default, default_ike, is_quantum_safe, parse, to_text
from ikepy.crypto.kex import registry
from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, ProtocolId, TransformType
from ikepy.wire.payloads import SaPayload
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


@pytest.mark.parametrize(
    "text",
    [
        *("aes128ccm16", "aes192ccm12", "aes256ccm8", "aes128gmac", "aes256gmac", "null-sha256"),
        *("aes128ctr-sha256", "camellia192-aesxcbc", "3des-aescmac", "aes256-aesxcbc"),
    ],
)
def test_the_rest_of_esp(text: str) -> None:
    assert to_text(one(text, ESP)) == f"{text}-noesn"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "aes128ccm16-prfaescmac-x25519",
            "aes256ccm8-prfaesxcbc-x25519",
            "aes256ctr-prfsha256-sha256-x25519",
        ),
        *("camellia256-prfsha512-sha512-ecp384", "3des-prfsha1-sha1-modp2048"),
    ],
)
def test_the_rest_of_ike(text: str) -> None:
    assert to_text(one(text, IKE)) == text


def test_prf_comes_from_an_aes_mac() -> None:
    assert to_text(one("aes128-aesxcbc-x25519", IKE)) == "aes128-prfaesxcbc-aesxcbc-x25519"
    assert to_text(one("aes128-aescmac-x25519", IKE)) == "aes128-prfaescmac-aescmac-x25519"


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
        ("aes192ccm96", "aes192ccm12"),
        ("camellia", "camellia128"),
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
        ("des-sha256-modp2048", IKE, '"des" is not supported by ikepy'),
        ("camellia128ccm16-x25519", IKE, '"camellia128ccm16" is not supported by ikepy'),
        ("aes128-md5-modp2048", IKE, '"md5" is not supported by ikepy'),
        ("aes128gmac-prfsha256-x25519", IKE, "no place in an IKE proposal"),
        ("null-sha256-x25519", IKE, "no place in an IKE proposal"),
        ("aes128-sha256", IKE, "no key exchange; allowed: x25519"),
        ("sha256-x25519", IKE, "no encryption algorithm; allowed: aes128"),
        ("aes128-x25519", IKE, "no integrity algorithm beside aes128; allowed: sha1, sha256"),
        ("aes128gcm16-x25519", IKE, "no PRF, which an AEAD needs; allowed: prfsha1"),
        ("aes128gcm16-aes128-sha256-x25519", IKE, "can't share one proposal"),
        ("aes128-sha256-x25519-noesn", IKE, "no place in an IKE proposal"),
        ("aes128-sha256-modpnone", IKE, "no place in an IKE proposal"),
        ("aes128", ESP, "no integrity algorithm"),
        ("null", ESP, "no integrity algorithm beside null"),
        ("aes128ctr", ESP, "no integrity algorithm beside aes128ctr"),
        ("aes128gmac-null-sha256", ESP, "can't share one proposal"),
        ("aes128--sha256", ESP, 'missing beside a "-"'),
        ("", ESP, "an algorithm is missing"),
    ],
)
def test_mistakes(text: str, protocol: ProtocolId, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse(text, protocol)


GROUPS = "x25519-x448-ecp384-ecp521-ecp256-ecp512bp-ecp384bp-ecp256bp-modp4096-modp3072-modp2048"
IKE_DEFAULTS = [
    "aes256gcm16-chacha20poly1305-aes192gcm16-aes128gcm16-prfsha512-prfsha384-prfsha256-prfsha1-" + GROUPS,
    "aes256-aes192-aes128-prfsha512-prfsha384-prfsha256-prfsha1-sha512-sha384-sha256-sha1-" + GROUPS,
]
ESP_DEFAULTS = [
    "aes256gcm16-chacha20poly1305-aes192gcm16-aes128gcm16-noesn",
    "aes256-aes192-aes128-sha512-sha384-sha256-sha1-noesn",
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


def test_defaults() -> None:
    assert [to_text(proposal) for proposal in default(IKE)] == [supported(text) for text in IKE_DEFAULTS]
    assert [to_text(proposal) for proposal in default(ESP)] == ESP_DEFAULTS
    assert parse("default", IKE) == default(IKE)
    assert parse("default", ESP) == default(ESP)


def test_nothing_weak_is_in_the_default() -> None:
    assert not list(weak([*default(IKE), *default(ESP)]))
    for text in ("aes128-sha1-modp1024", "aes128-sha1-modp1536"):
        assert to_text(one(text, IKE)).endswith(text.split("-")[-1])
        assert len(list(weak(parse(text, IKE)))) == 1


# -- pq -----------------------------------------------------------------------------------------------


def test_proposals_by_pq() -> None:
    plain, safe = default(IKE), default_ike("require")
    assert default_ike("off") == plain
    assert default_ike("prefer") == (*safe, *plain)
    assert all(is_quantum_safe(one) for one in safe)
    assert not any(is_quantum_safe(one) for one in plain)


@pytest.mark.parametrize(
    "text, safe",
    [
        ("x25519", False),
        ("mlkem768", True),
        ("mlkem768-mlkem1024", True),
        ("x25519-mlkem768", False),
        ("x25519-ke1_mlkem768", True),
        ("x25519-ke1_mlkem768-ke1_none", False),
        ("x25519-ke1_ecp384-ke2_mlkem1024", True),
    ],
)
def test_quantum_safe_proposals(text: str, safe: bool) -> None:
    """All that may be chosen has it."""
    assert is_quantum_safe(one(f"aes256gcm16-prfsha384-{text}", IKE)) == safe


def test_first_message_stays_small() -> None:
    """It can't go in fragments (RFC 7383)."""
    payload = SaPayload(default_ike("prefer"))
    assert len(payload.encode()) < 700
