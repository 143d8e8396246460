"""Every kind of suite with a real strongSwan: ciphers, integrity, PRFs and key exchanges; ESN."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates, suite_text

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

# IKE proposal, ESP proposal
SUITES = (
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    ("aes192gcm16-prfsha384-ecp256", "aes192gcm16"),
    ("aes256gcm16-prfsha512-ecp384", "aes256gcm16"),
    ("aes256gcm12-prfsha256-ecp521", "aes256gcm12"),
    ("aes128gcm8-prfsha1-ecp256bp", "aes128gcm8"),
    ("chacha20poly1305-prfsha256-x448", "chacha20poly1305"),
    ("aes128-sha1-modp2048", "aes128-sha1"),
    ("aes192-sha256-modp3072", "aes192-sha256"),
    ("aes256-sha384-modp4096", "aes256-sha384"),
    ("aes256-sha512-ecp384bp", "aes256-sha512"),
    ("aes128-sha256-prfsha512-ecp512bp", "aes256-sha1"),
    ("aes128ccm16-prfaesxcbc-x25519", "aes128ccm16"),
    ("aes256ccm12-prfaescmac-x25519", "aes256ccm12"),
    ("aes192ccm8-prfsha256-x25519", "aes192ccm8"),
    ("aes128ctr-aesxcbc-x25519", "aes128ctr-sha256"),
    ("aes256ctr-sha256-x25519", "aes256ctr-aescmac"),
    ("aes192-aescmac-prfaescmac-x25519", "aes192-aesxcbc"),
    ("camellia128-sha256-x25519", "camellia128-sha256"),
    ("camellia256-sha512-x25519", "camellia256-sha512"),
    ("3des-sha1-modp2048", "3des-sha1"),
    ("aes256gcm16-prfsha384-x25519", "null-sha256"),
)


@pytest.mark.parametrize(("ike", "esp"), SUITES)
def test_suite(bed: Bed, ike: str, esp: str) -> None:
    """Traffic flows, and both sides have the same name for what protects it."""
    bed.start(
        replace(OURS, proposals=(ike,), esp_proposals=(esp,)),
        replace(THEIRS, proposals=ike, esp_proposals=esp),
    )
    for _ in bed.each_brings_it_up():
        assert bed.our_sa["suite"] == suite_text(bed.their_sa)
        assert bed.our_child["suite"] == suite_text(bed.their_child)
        bed.expect_traffic()


def test_one_of_many(bed: Bed) -> None:
    """Each side offers several proposals with several transforms: what both know is found."""
    bed.start(
        replace(
            OURS,
            proposals=("chacha20poly1305-prfsha512-x448", "aes256-aes128-sha512-sha256-ecp384-x25519"),
            esp_proposals=("aes256gcm16", "aes192-aes128-sha512-sha256"),
        ),
        replace(
            THEIRS,
            proposals="aes192gcm16-prfsha256-x25519,aes128-sha384-sha256-modp2048-x25519",
            esp_proposals="chacha20poly1305,aes128-sha384-sha256",
        ),
    )
    for _ in bed.each_brings_it_up():
        assert bed.our_sa["suite"] == "AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519"
        assert bed.our_child["suite"] == "AES_CBC_128/HMAC_SHA2_256_128"
        bed.expect_traffic()


def test_defaults(bed: Bed) -> None:
    """Both sides' default proposals."""
    bed.start(
        replace(OURS, proposals=("default",), esp_proposals=("default",)),
        replace(THEIRS, proposals="default", esp_proposals="default"),
    )
    for _ in bed.each_brings_it_up():
        assert bed.our_sa["suite"] == suite_text(bed.their_sa)
        assert bed.our_child["suite"] == suite_text(bed.their_child)
        bed.expect_traffic()


def test_no_esn_is_chosen(bed: Bed) -> None:
    """We offer and take both; strongSwan knows 32-bit sequence numbers only."""
    bed.start(replace(OURS, esp_proposals=("aes128gcm16-esn-noesn",)))
    for _ in bed.each_brings_it_up():
        assert not bed.our_child["esn"]
        bed.expect_traffic()


@either_side_initiates
def test_esn_is_agreed_on(bed: Bed, initiator: Side) -> None:
    """Both want ESN and say so; then strongSwan's userspace ESP can't do it, and no child stays."""
    bed.start(
        replace(OURS, esp_proposals=("aes128gcm16-esn",)), replace(THEIRS, esp_proposals="aes128gcm16-esn")
    )
    bed.refused(initiator)
    bed.wait_for_log("strongSwan", "selected proposal: ESP:AES_GCM_16_128/EXT_SEQ")
    bed.wait_for_log("strongSwan", "ESN not supported")
    bed.wait(lambda: not bed.ours.children() and not bed.theirs.children(), "end of the child")
