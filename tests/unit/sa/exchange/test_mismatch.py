"""ikepy.sa.exchange.mismatch: texts of what differed, short whatever a stranger offers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from esp.packet.selectors import Selector
from ikepy.sa.exchange import mismatch
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.wire.constants import Encr, Integ, KeGroup, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform

GCM = Transform(TransformType.ENCR, Encr.AES_GCM_16, 128)
CBC = Transform(TransformType.ENCR, Encr.AES_CBC, 128)
SHA256 = Transform(TransformType.INTEG, Integ.HMAC_SHA2_256_128)
NO_INTEG = Transform(TransformType.INTEG, Integ.NONE)
P256, X25519 = (Transform(TransformType.KE, group) for group in (KeGroup.ECP_256, KeGroup.CURVE_25519))
SHORT = 2 * 300 + 120  # characters: both sides', and the words around them


def esp(*transforms: Transform) -> Proposal:
    return Proposal(1, ProtocolId.ESP, b"", transforms)


def test_the_types_without_a_common_algorithm_are_named() -> None:
    theirs, ours = [esp(CBC, SHA256, P256)], [esp(GCM, X25519)]
    assert mismatch.nothing_in_common(theirs, ours) == (
        "no common encryption nor integrity nor key exchange; "
        "the peer's: AES_CBC_128/HMAC_SHA2_256_128/ECP_256; ours: AES_GCM_16_128/CURVE_25519"
    )


def test_what_each_has_somewhere_is_common() -> None:
    """The proposals don't match as a whole: then no type is to blame."""
    text = mismatch.nothing_in_common([esp(CBC, SHA256), esp(GCM, P256)], [esp(CBC, SHA256, P256), esp(GCM)])
    assert text.startswith("the peer's: ")


def test_a_type_that_is_left_out_is_none() -> None:
    assert "integrity" not in mismatch.nothing_in_common([esp(GCM, NO_INTEG)], [esp(GCM)])
    assert "no common integrity; " in mismatch.nothing_in_common([esp(CBC)], [esp(CBC, SHA256)])


def test_no_proposal_at_all() -> None:
    assert mismatch.suites([]) == "nothing"


def test_selectors_side_by_side() -> None:
    one = Selectors((Selector.of("10.1.0.0/16"),), (Selector.of("10.2.0.0/16"),))
    other = Selectors((Selector.of("10.3.0.0/16"),), (Selector.of("10.2.0.0/16"),))
    assert mismatch.unlike(one, [other, one]) == (
        "the peer's: 10.1.0.0/16 === 10.2.0.0/16; "
        "ours: 10.3.0.0/16 === 10.2.0.0/16, 10.1.0.0/16 === 10.2.0.0/16"
    )


transforms = st.builds(
    Transform, st.integers(0, 255), st.integers(0, 65535), st.none() | st.integers(0, 65535)
)
offers = st.lists(st.lists(transforms, max_size=40).map(lambda some: esp(*some)), max_size=12)


@given(offers, offers)
def test_no_offer_fills_the_log(theirs: list[Proposal], ours: list[Proposal]) -> None:
    assert len(mismatch.nothing_in_common(theirs, ours)) < SHORT


@given(st.lists(st.integers(0, 2**32 - 1).map(lambda n: Selector(4, n, n)), min_size=50, max_size=90))
def test_no_selectors_fill_the_log(some: list[Selector]) -> None:
    many = Selectors(tuple(some), tuple(some))
    assert len(mismatch.unlike(many, [many, many])) < SHORT
