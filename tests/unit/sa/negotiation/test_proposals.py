"""ikepy.sa.negotiation.proposals: selecting a proposal, checking the peer's selection (RFC 7296 2.7, 3.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.sa.negotiation import proposals
from ikepy.wire.constants import Encr, Esn, Integ, KeGroup, Prf, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform

GCM128 = Transform(TransformType.ENCR, Encr.AES_GCM_16, 128)
GCM256 = Transform(TransformType.ENCR, Encr.AES_GCM_16, 256)
CBC = Transform(TransformType.ENCR, Encr.AES_CBC, 128)
SHA256 = Transform(TransformType.INTEG, Integ.HMAC_SHA2_256_128)
NO_INTEG = Transform(TransformType.INTEG, Integ.NONE)
PRF = Transform(TransformType.PRF, Prf.HMAC_SHA2_256)
X25519 = Transform(TransformType.KE, KeGroup.CURVE_25519)
P256 = Transform(TransformType.KE, KeGroup.ECP_256)
NO_KE = Transform(TransformType.KE, KeGroup.NONE)
NO_ESN = Transform(TransformType.ESN, Esn.NO_ESN)
ESN = Transform(TransformType.ESN, Esn.ESN)


def esp(*transforms: Transform, number: int = 1, spi: bytes = b"") -> Proposal:
    return Proposal(number, ProtocolId.ESP, spi, transforms)


# -- selecting -------------------------------------------------------------------------------------


def test_our_order_decides_among_proposals_and_transforms() -> None:
    ours = [esp(GCM256, GCM128, NO_ESN), esp(CBC, SHA256, NO_ESN)]
    theirs = [esp(CBC, SHA256, NO_ESN), esp(GCM128, GCM256, NO_ESN, number=2)]
    assert proposals.select(ours, theirs) == esp(GCM256, NO_ESN, number=2)


def test_the_number_and_the_spi_are_those_of_the_offer() -> None:
    chosen = proposals.select(
        [esp(GCM128, NO_ESN, spi=b"ours")], [esp(GCM128, NO_ESN, number=7, spi=b"peer")]
    )
    assert chosen == esp(GCM128, NO_ESN, number=7, spi=b"peer")


def test_transforms_are_not_mixed_from_two_proposals() -> None:
    assert proposals.select([esp(CBC, SHA256)], [esp(CBC, NO_INTEG), esp(GCM128, SHA256)]) is None


def test_key_lengths_and_protocols_count() -> None:
    assert proposals.select([esp(GCM128)], [esp(GCM256)]) is None
    assert proposals.select([esp(GCM128)], [Proposal(1, ProtocolId.IKE, b"", (GCM128,))]) is None


@pytest.mark.parametrize("left_out", [NO_ESN, NO_KE, NO_INTEG])
def test_an_omitted_type_means_none(left_out: Transform) -> None:
    """RFC 7296 3.3.3: on either side; it is not in the answer then, unless the offer had it."""
    assert proposals.select([esp(GCM128, left_out)], [esp(GCM128)]) == esp(GCM128)
    assert proposals.select([esp(GCM128)], [esp(GCM128, left_out)]) == esp(
        *sorted((GCM128, left_out), key=lambda t: t.type)
    )


@pytest.mark.parametrize("wanted", [ESN, X25519, SHA256])
def test_what_is_wanted_can_not_be_omitted(wanted: Transform) -> None:
    assert proposals.select([esp(GCM128, wanted)], [esp(GCM128)]) is None
    assert proposals.select([esp(GCM128)], [esp(GCM128, wanted)]) is None


def test_an_encryption_or_prf_can_not_be_omitted() -> None:
    assert proposals.select([esp(GCM128, PRF)], [esp(GCM128)]) is None
    assert proposals.select([esp(GCM128)], [esp(GCM128, PRF)]) is None


def test_an_unknown_type_is_not_accepted() -> None:
    """RFC 7296 3.3.6: a proposal with a transform type that we don't know is refused; another may fit."""
    strange = esp(GCM128, Transform(99, 1))
    assert proposals.select([esp(GCM128)], [strange]) is None
    assert proposals.select([esp(GCM128)], [strange, esp(GCM128, number=2)]) == esp(GCM128, number=2)


# -- the peer's choice -----------------------------------------------------------------------------

OFFERED = proposals.numbered(
    [esp(GCM128, GCM256, X25519, P256, NO_KE, NO_ESN), esp(CBC, SHA256, X25519, ESN)], b"1234"
)


@pytest.mark.parametrize(
    "choice",
    [
        esp(GCM128, X25519, NO_ESN),
        esp(GCM256, P256, NO_ESN),
        esp(GCM128, NO_ESN),  # no PFS, as we offered
        esp(GCM128, X25519),  # older peers omit "no ESN"
        esp(CBC, SHA256, X25519, ESN, number=2),
    ],
)
def test_a_choice_of_what_we_offered(choice: Proposal) -> None:
    assert proposals.acceptable_choice([choice], OFFERED) is choice


@pytest.mark.parametrize(
    "choice",
    [
        [],
        [esp(GCM128, NO_ESN), esp(CBC, SHA256, X25519, ESN, number=2)],
        [esp(GCM128, GCM256, X25519, NO_ESN)],  # two of one type
        [esp(GCM128, X25519, ESN)],
        [esp(GCM128, SHA256, X25519, NO_ESN)],  # a type that was not offered
        [esp(X25519, NO_ESN)],  # no encryption
        [esp(CBC, X25519, ESN, number=2)],  # integrity may not be left out there
        [esp(CBC, SHA256, ESN, number=2)],  # nor PFS
        [esp(CBC, SHA256, X25519, number=2)],  # nor ESN
        [esp(GCM128, X25519, NO_ESN, number=2)],  # of the other proposal
        [esp(GCM128, X25519, NO_ESN, number=3)],
        [Proposal(1, ProtocolId.AH, b"", (GCM128, X25519, NO_ESN))],
    ],
)
def test_any_other_choice_is_refused(choice: list[Proposal]) -> None:
    assert proposals.acceptable_choice(choice, OFFERED) is None


transforms = st.lists(
    st.sampled_from([GCM128, GCM256, CBC, SHA256, NO_INTEG, X25519, P256, NO_KE, NO_ESN, ESN]),
    min_size=1,
    unique=True,
)
offers = st.lists(transforms.map(lambda some: esp(*some)), min_size=1, max_size=3)


@given(offers, offers)
def test_what_a_responder_selects_its_initiator_accepts(ours: list[Proposal], theirs: list[Proposal]) -> None:
    """And if one finds a match, the other would have found one as responder."""
    offered = proposals.numbered(theirs, b"abcd")
    chosen = proposals.select(ours, offered)
    assert (chosen is None) == (proposals.select(theirs, ours) is None)
    if chosen is not None:
        assert proposals.acceptable_choice([chosen], offered) is chosen


# -- parts -----------------------------------------------------------------------------------------


def test_proposals_are_numbered_from_one_with_our_spi() -> None:
    assert [(one.number, one.spi) for one in OFFERED] == [(1, b"1234"), (2, b"1234")]


def test_ike_auth_offers_no_key_exchange() -> None:
    assert proposals.without_ke(OFFERED) == (
        esp(GCM128, GCM256, NO_ESN, spi=b"1234"),
        esp(CBC, SHA256, ESN, number=2, spi=b"1234"),
    )


def test_none_is_no_transform() -> None:
    assert proposals.transform(esp(GCM128, NO_KE, NO_INTEG), TransformType.KE) is None
    assert proposals.transform(esp(GCM128, NO_KE, NO_INTEG), TransformType.INTEG) is None
    assert proposals.transform(esp(GCM128), TransformType.ENCR) is GCM128
    assert proposals.transform(esp(GCM128, NO_ESN), TransformType.ESN) is NO_ESN
    assert proposals.transform(esp(GCM128), TransformType.ESN) is None


def test_key_exchanges() -> None:
    assert proposals.key_exchanges(esp(GCM128, X25519)) == (KeGroup.CURVE_25519,)
    assert proposals.key_exchanges(esp(GCM128, NO_KE)) == ()
    assert proposals.groups(OFFERED) == {KeGroup.CURVE_25519, KeGroup.ECP_256, KeGroup.NONE}


# -- texts -----------------------------------------------------------------------------------------


def test_suites_are_written_as_charon_does() -> None:
    ike = Proposal(1, ProtocolId.IKE, b"", (PRF, X25519, SHA256, CBC))
    assert proposals.describe(ike) == "AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519"
    assert proposals.describe(esp(Transform(99, 5), Transform(TransformType.ENCR, 1000))) == "1(1000)/99(5)"


def test_names_of_key_exchanges() -> None:
    assert proposals.key_exchange_names(OFFERED) == "CURVE_25519, ECP_256"
    assert proposals.key_exchange_names([esp(GCM128, NO_KE)]) == "no key exchange"
    assert [proposals.group_name(one) for one in (0, 19, 999)] == ["none", "ECP_256", "4(999)"]


# -- additional key exchanges (RFC 9370 2.2.1) -------------------------------------------------------


def ke(n: int, method: int) -> Transform:
    return Transform(TransformType.KE + (n + 1 if n else 0), method)


K768, K1024 = KeGroup.ML_KEM_768, KeGroup.ML_KEM_1024


@pytest.mark.parametrize(
    "mine, offered, chosen",
    [
        ((X25519, ke(1, K768)), (X25519, ke(1, K1024), ke(1, K768)), (X25519, ke(1, K768))),
        ((X25519, ke(1, K768)), (X25519,), None),
        ((X25519,), (X25519, ke(1, K768)), None),
        ((X25519,), (X25519, ke(1, K768), ke(1, 0)), (X25519, ke(1, 0))),
        ((X25519, ke(1, K768), ke(1, 0)), (X25519,), (X25519,)),
        ((X25519, ke(2, K768)), (X25519, ke(1, K768)), None),
        ((X25519, P256, ke(1, 31)), (X25519, P256, ke(1, 31)), (P256, ke(1, 31))),
        (
            (X25519, ke(1, K768), ke(1, K1024), ke(2, K768)),
            (X25519, ke(1, K768), ke(1, K1024), ke(2, K768)),
            (X25519, ke(1, K1024), ke(2, K768)),
        ),
        ((X25519, ke(1, K768), ke(2, K768)), (X25519, ke(1, K768), ke(2, K768)), None),
        ((NO_KE, X25519, ke(1, K768)), (X25519, NO_KE, ke(1, K768)), (X25519, ke(1, K768))),
        ((NO_KE, ke(1, K768)), (NO_KE, ke(1, K768)), None),
    ],
)
def test_additional_key_exchanges(
    mine: tuple[Transform, ...], offered: tuple[Transform, ...], chosen: tuple[Transform, ...] | None
) -> None:
    found = proposals.select([esp(GCM128, *mine)], [esp(GCM128, *offered)])
    assert found == (None if chosen is None else esp(GCM128, *chosen))


def test_order_of_key_exchanges() -> None:
    chosen = esp(GCM128, ke(7, K1024), X25519, NO_ESN, ke(1, 0), ke(2, K768))
    assert proposals.key_exchanges(chosen) == (KeGroup.CURVE_25519, K768, K1024)
    assert proposals.first_key_exchange(chosen) == KeGroup.CURVE_25519
    assert proposals.has_additional([chosen])
    assert not proposals.has_additional([esp(GCM128, X25519, ke(1, 0))])
    assert proposals.without_ke([chosen]) == (esp(GCM128, NO_ESN),)
    assert proposals.describe(chosen) == (
        "AES_GCM_16_128/CURVE_25519/KE1_NONE/KE2_ML_KEM_768/KE7_ML_KEM_1024/NO_ESN"
    )


def test_peer_that_can_not_do_their_exchanges() -> None:
    insists, optional, plain = (
        esp(GCM128, X25519, ke(1, K768)), esp(GCM256, X25519, ke(1, K768), ke(1, 0)), esp(CBC, X25519)
    )  # fmt: skip
    assert proposals.without_additional([insists, optional, plain]) == [esp(GCM256, X25519, ke(1, 0)), plain]


@pytest.mark.parametrize(
    "choice, acceptable",
    [
        ((X25519, ke(1, K768), ke(2, K1024)), True),
        ((X25519, ke(1, K768), ke(2, 0)), True),
        ((X25519, ke(1, K768)), True),
        ((X25519, ke(2, K768)), False),
        ((X25519, ke(1, K768), ke(2, K768)), False),
        ((X25519, ke(1, K768), ke(1, K768)), False),
        ((NO_KE, ke(1, K768)), False),
        ((ke(1, K768),), False),
    ],
)
def test_choice_of_additional_key_exchanges(choice: tuple[Transform, ...], acceptable: bool) -> None:
    offered = [esp(GCM128, X25519, NO_KE, ke(1, K768), ke(2, K768), ke(2, K1024), ke(2, 0))]
    found = proposals.acceptable_choice([esp(GCM128, *choice)], offered)
    assert (found is not None) == acceptable
