"""Grades: by what is accepted, against each profile."""

from __future__ import annotations

import pytest

from ikepy.probe.discovery.grading import grade
from ikepy.probe.discovery.profiles import BSI, NIST, PROFILES, RFC8221, RFC8247, Level
from ikepy.wire.constants import Encr, Integ, KeGroup, Prf, TransformType
from ikepy.wire.proposal import Transform
from tests.unit.probe.discovery.responder import encr, integ, ke, prf

MUSTS = [
    encr(Encr.AES_CBC, 256),
    encr(Encr.AES_CBC, 128),
    prf(Prf.HMAC_SHA2_256),
    prf(Prf.HMAC_SHA1),
    integ(Integ.HMAC_SHA2_256_128),
    integ(Integ.HMAC_SHA1_96),
    *ke(KeGroup.MODP_2048),
]
STRONG = [
    encr(Encr.AES_GCM_16, 256),
    prf(Prf.HMAC_SHA2_384),
    *ke(KeGroup.ECP_384),
]


def test_all_that_must_be_there() -> None:
    found = grade(RFC8247, MUSTS, [])
    assert found.letter == "A"
    assert {one.level for one in found.findings} == {"SHOULD"}


def test_what_must_be_there_and_is_not() -> None:
    found = grade(RFC8247, STRONG, [])
    assert found.letter == "B"
    missing = [one.name for one in found.findings if one.level == Level.MUST.value]
    assert missing == ["AES_CBC_256", "AES_CBC_128", "PRF_HMAC_SHA2_256", "PRF_HMAC_SHA1", "MODP_2048"]


@pytest.mark.parametrize(
    ("further", "letter"),
    [
        (ke(KeGroup.MODP_1024), "C"),
        (ke(24), "C"),
        (ke(22), "F"),
        (ke(1), "F"),
        ([encr(2)], "F"),
        ([encr(Encr.NULL)], "F"),
        ([prf(1)], "F"),
        ([integ(1)], "F"),
        ([encr(Encr.TRIPLE_DES_CBC)], "A"),  # MAY in IKE
    ],
)
def test_what_should_not_be_there(further: list[Transform], letter: str) -> None:
    found = grade(RFC8247, [*MUSTS, *further], [])
    assert found.letter == letter
    assert letter == "A" or found.findings[0].accepted


def test_hashes() -> None:
    assert grade(RFC8247, MUSTS, ["SHA1", "SHA2_256"]).letter == "F"
    assert grade(RFC8247, MUSTS, ["SHA2_384", "IDENTITY"]).letter == "B"
    assert grade(RFC8247, MUSTS, ["SHA2_256", "SHA2_512", "IDENTITY"]).letter == "A"


def test_lists() -> None:
    for profile in (BSI, NIST):
        assert grade(profile, STRONG, ["SHA2_256"]).letter == "A"
        assert grade(profile, [*STRONG, *ke(KeGroup.CURVE_25519)], []).letter == "F"
        assert grade(profile, [*STRONG, encr(Encr.TRIPLE_DES_CBC)], []).letter == "F"
    assert grade(BSI, [*STRONG, *ke(KeGroup.BRAINPOOL_384)], []).letter == "A"
    assert grade(NIST, [*STRONG, *ke(KeGroup.BRAINPOOL_384)], []).letter == "F"
    assert grade(NIST, [*STRONG, *ke(KeGroup.MODP_2048)], []).letter == "C"


def test_additional_key_exchanges_are_key_exchanges() -> None:
    hybrid = [*STRONG, Transform(TransformType.ADDKE1, KeGroup.ML_KEM_768)]
    assert grade(NIST, hybrid, []).letter == "A"
    assert grade(NIST, [*STRONG, Transform(TransformType.ADDKE1, KeGroup.CURVE_25519)], []).letter == "F"


def test_nothing_is_known() -> None:
    found = grade(RFC8221, [], [], why_unknown="not asked")
    assert (found.letter, found.words) == ("-", "not asked")


def test_what_is_not_known_gives_no_grade_unless_it_can_t_change_it() -> None:
    """An answer that is missing is none that excludes what is forbidden."""
    forbidden, should, must = ke(22), [encr(Encr.CHACHA20_POLY1305)], ke(KeGroup.MODP_2048)
    assert grade(RFC8247, MUSTS, [], unknown=forbidden).letter == "-"
    assert "MODP_1024_160" in grade(RFC8247, MUSTS, [], unknown=forbidden).words
    assert grade(RFC8247, [*MUSTS, *ke(KeGroup.MODP_1024)], [], unknown=forbidden).letter == "-"
    assert grade(RFC8247, [*MUSTS, *ke(1)], [], unknown=forbidden).letter == "F"
    assert grade(RFC8247, MUSTS, [], unknown=should).letter == "A"
    assert grade(RFC8247, [*MUSTS, *ke(KeGroup.MODP_1024)], [], unknown=must).letter == "C"
    assert grade(NIST, STRONG, [], unknown=[encr(9)]).letter == "-"


def test_what_is_not_known_is_not_missing() -> None:
    found = grade(RFC8247, MUSTS[:-1], [], unknown=ke(KeGroup.MODP_2048))
    assert found.letter == "-"
    assert "MODP_2048" not in {one.name for one in found.findings}


def test_hashes_that_were_not_seen() -> None:
    assert grade(RFC8247, MUSTS, None).letter == "-"
    assert grade(RFC8247, [*MUSTS, *ke(1)], None).letter == "F"
    assert grade(RFC8221, [encr(Encr.AES_GCM_16, 256)], None).letter == "B"


def test_esp() -> None:
    assert grade(RFC8221, [encr(Encr.AES_GCM_16, 256), encr(Encr.TRIPLE_DES_CBC)], []).letter == "C"
    assert grade(RFC8221, [encr(7, 128)], []).letter == "F"


def test_profiles_have_their_own_names() -> None:
    assert set(PROFILES) == {"rfc8247", "rfc8221", "bsi", "nist"}
