"""charon's names of algorithms."""

from __future__ import annotations

import pytest

from ikepy.config.proposals import parse
from ikepy.daemon.vici.algorithms import algorithms_of, all_algorithms, group_of
from ikepy.wire.constants import KeGroup, ProtocolId


@pytest.mark.parametrize(
    ("text", "protocol", "expected"),
    [
        (
            "aes256-sha384-ecp384bp",
            ProtocolId.IKE,
            {
                "encr-alg": "AES_CBC",
                "encr-keysize": "256",
                "integ-alg": "HMAC_SHA2_384_192",
                "prf-alg": "PRF_HMAC_SHA2_384",
                "dh-group": "ECP_384_BP",
            },
        ),
        (
            "chacha20poly1305-prfsha512-modp2048",
            ProtocolId.IKE,
            {"encr-alg": "CHACHA20_POLY1305", "prf-alg": "PRF_HMAC_SHA2_512", "dh-group": "MODP_2048"},
        ),
        (
            "aes128gcm16-esn",
            ProtocolId.ESP,
            {"encr-alg": "AES_GCM_16", "encr-keysize": "128", "esn": "1"},
        ),
        ("aes128gcm16-noesn", ProtocolId.ESP, {"encr-alg": "AES_GCM_16", "encr-keysize": "128"}),
    ],
)
def test_a_chosen_proposal(text: str, protocol: ProtocolId, expected: dict[str, str]) -> None:
    (proposal,) = parse(text, protocol)
    assert dict(algorithms_of(proposal)) == expected


def test_groups() -> None:
    assert group_of(KeGroup.BRAINPOOL_512) == "ECP_512_BP"
    assert group_of(KeGroup.CURVE_25519) == "CURVE_25519"


def test_all_of_them() -> None:
    algorithms = all_algorithms()
    ciphers = ("3DES_CBC", "NULL", "AES_CBC", "AES_CTR", "CAMELLIA_CBC")
    assert algorithms["encryption"] == dict.fromkeys(ciphers, "ikepy")
    assert isinstance(algorithms["aead"], dict) and "CHACHA20_POLY1305" in algorithms["aead"]
    assert isinstance(algorithms["dh"], dict) and "NONE" not in algorithms["dh"]
    assert isinstance(algorithms["integrity"], dict) and "NONE" not in algorithms["integrity"]
