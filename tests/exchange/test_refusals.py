"""What a refused request costs, at the end that refuses it (RFC 7296 2.21): the IKE_SA, or only the exchange.

The answer goes out first, then the IKE_SA ends with its children: for the peer it is gone with that answer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from ikepy.sa.api.effects import Level, Log, RemoveChild, Send
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.message import encode_payloads
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload, UnknownPayload
from ikepy.wire.proposal import Proposal, Transform
from tests.hostile.attacker import NONCE, HalfOpenAttacker, child_payloads, path_from, target

from .network import ADDRESS_A
from .test_errors import cells

CHILD = b"\0\0\x12\x34"  # the peer's SPI of the child that stands
IKE_AUTH, CREATE, INFORMATIONAL = (
    ExchangeType.IKE_AUTH,
    ExchangeType.CREATE_CHILD_SA,
    ExchangeType.INFORMATIONAL,
)
CRITICAL = UnknownPayload(99, True, b"")


def rekey(protocol: int = ProtocolId.ESP, spi: bytes = CHILD, new: bytes = b"\0\0\x56\x78") -> list[Payload]:
    return [NotifyPayload(NotifyType.REKEY_SA, b"", protocol, spi), NoncePayload(NONCE), *child_payloads(new)]


def rekey_ike(
    spi: bytes = b"\3" * 8, group: int = 31, encr: int = 20, public: bytes = b"\5" * 32
) -> list[Payload]:
    transforms = (Transform(1, encr, 128), Transform(2, 5), Transform(4, 31))
    return [SaPayload((Proposal(1, 1, spi, transforms),)), NoncePayload(NONCE), KePayload(group, public)]


def child(spi: bytes = b"\0\0\x56\x78") -> list[Payload]:
    return [NoncePayload(NONCE), *child_payloads(spi)]


def unknown_suite() -> list[Payload]:
    _, *rest = child_payloads()
    offer = Proposal(1, 3, b"\0\0\x56\x78", (Transform(1, 200, 128), Transform(5, 0)))
    return [NoncePayload(NONCE), SaPayload((offer,)), *rest]


Build = Callable[[], list[Payload]]
# what the peer asks -> (exchange, its payloads, what it hears, whether the IKE_SA ends)
REFUSED: dict[str, tuple[ExchangeType, Build, NotifyType, bool]] = {
    "IKE_AUTH once more": (IKE_AUTH, child_payloads, NotifyType.INVALID_SYNTAX, True),
    "a child under an SPI below 256": (CREATE, lambda: child(b"\0\0\0\xff"), NotifyType.INVALID_SYNTAX, True),
    "a child under an SPI of 0": (CREATE, lambda: child(bytes(4)), NotifyType.INVALID_SYNTAX, True),
    "a child without a nonce": (CREATE, child_payloads, NotifyType.INVALID_SYNTAX, True),
    "a child with two nonces": (
        CREATE,
        lambda: [NoncePayload(NONCE), *child()],
        NotifyType.INVALID_SYNTAX,
        True,
    ),
    "a child with a critical payload": (
        CREATE,
        lambda: [*child(), CRITICAL],
        NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
        False,
    ),
    "a child of an unknown suite": (CREATE, unknown_suite, NotifyType.NO_PROPOSAL_CHOSEN, False),
    "rekey with protocol 2": (CREATE, lambda: rekey(ProtocolId.AH), NotifyType.INVALID_SYNTAX, True),
    "rekey with protocol 0": (CREATE, lambda: rekey(0), NotifyType.INVALID_SYNTAX, True),
    "rekey without an SPI": (CREATE, lambda: rekey(spi=b""), NotifyType.INVALID_SYNTAX, True),
    "rekey under an SPI below 256": (
        CREATE,
        lambda: rekey(new=b"\0\0\0\1"),
        NotifyType.INVALID_SYNTAX,
        True,
    ),
    "rekey of an unknown child": (
        CREATE,
        lambda: rekey(spi=b"\1\2\3\4"),
        NotifyType.CHILD_SA_NOT_FOUND,
        False,
    ),
    "rekey with a critical payload": (
        CREATE,
        lambda: [*rekey(), CRITICAL],
        NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
        False,
    ),
    "IKE rekey with an SPI of 0": (CREATE, lambda: rekey_ike(bytes(8)), NotifyType.INVALID_SYNTAX, True),
    "IKE rekey with a short SPI": (CREATE, lambda: rekey_ike(b"\1\2\3\4"), NotifyType.INVALID_SYNTAX, True),
    "IKE rekey with another group": (
        CREATE,
        lambda: rekey_ike(group=19, public=bytes(64)),
        NotifyType.INVALID_KE_PAYLOAD,
        False,
    ),
    "IKE rekey with a public value of 0": (
        CREATE,
        lambda: rekey_ike(public=bytes(32)),
        NotifyType.INVALID_SYNTAX,
        True,
    ),
    "IKE rekey with an unknown suite": (
        CREATE,
        lambda: rekey_ike(encr=200),
        NotifyType.NO_PROPOSAL_CHOSEN,
        False,
    ),
    "INFORMATIONAL with a nonce": (
        INFORMATIONAL,
        lambda: [NoncePayload(NONCE)],
        NotifyType.INVALID_SYNTAX,
        True,
    ),
    "INFORMATIONAL with a critical payload": (
        INFORMATIONAL,
        lambda: [CRITICAL],
        NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD,
        False,
    ),
}


def established() -> HalfOpenAttacker:
    peer = HalfOpenAttacker(target(), address=ADDRESS_A)
    peer.establish()
    return peer


def assert_refused(peer: HalfOpenAttacker, data: bytes, notify: NotifyType, over: bool) -> None:
    b = peer.net.b
    (child_id,) = b.plane.inbound
    effects = peer.net.inject("b", path_from(ADDRESS_A), data)
    kinds = [type(effect) for effect in effects]
    answer = peer.opened([e.data for e in effects if isinstance(e, Send)], 2)
    assert answer is not None
    error = query.error(answer)
    assert error is not None
    assert error.notify == notify
    assert any(notify.name in e.text for e in effects if isinstance(e, Log) and e.level is Level.ERROR)
    if over:
        assert kinds.count(Send) == 1, "the peer knows: no Delete"
        assert kinds.index(Send) < kinds.index(RemoveChild)
        assert not b.manager.ike_sas
        assert not b.plane.inbound
    else:
        assert len(b.manager.ike_sas) == 1
        assert list(b.plane.inbound) == [child_id]
        assert peer.ask(INFORMATIONAL, 3, []) == ()


@pytest.mark.parametrize("what", REFUSED)
def test_a_request_after_authentication(what: str) -> None:
    exchange, build, notify, over = REFUSED[what]
    peer = established()
    assert_refused(peer, peer.seal(exchange, 2, *encode_payloads(build())), notify, over)


def test_a_child_that_is_not_found_is_named() -> None:
    """By the SPI of REKEY_SA (RFC 7296 2.25)."""
    answer = established().ask(CREATE, 2, rekey(spi=b"\1\2\3\4"))
    assert answer is not None
    refused = query.notify(answer, NotifyType.CHILD_SA_NOT_FOUND)
    assert refused is not None
    assert (refused.protocol, refused.spi) == (ProtocolId.ESP, b"\1\2\3\4")


JUNK = struct.pack("!BBH", 0, 0, 4 + 64) + bytes(range(64))


@pytest.mark.parametrize("exchange", [IKE_AUTH, CREATE, INFORMATIONAL, 90])
@pytest.mark.parametrize("first", [PayloadType.SA, PayloadType.DELETE, PayloadType.TS_I])
def test_malformed_content(exchange: int, first: int) -> None:
    peer = established()
    assert_refused(peer, peer.seal(exchange, 2, first, JUNK), NotifyType.INVALID_SYNTAX, True)


# -- IKE_AUTH --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "notify"),
    [
        ("EAP", NotifyType.AUTHENTICATION_FAILED),
        ("wrong secret", NotifyType.AUTHENTICATION_FAILED),
        ("no identity", NotifyType.INVALID_SYNTAX),
        ("critical", NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD),
        ("critical, EAP", NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD),
        ("SPI below 256", NotifyType.INVALID_SYNTAX),
    ],
)
def test_ike_auth(kind: str, notify: NotifyType) -> None:
    """No IKE_SA comes about, and malformed requests say nothing of secrets (2.21.2)."""
    peer = HalfOpenAttacker(target(), address=ADDRESS_A)
    id_i, auth, *rest = peer.auth_payloads(secret=b"wrong" if kind == "wrong secret" else b"correct horse")
    payloads: dict[str, list[Payload]] = {
        "EAP": [id_i, *rest],
        "no identity": [auth, *rest],
        "critical, EAP": [id_i, *rest, CRITICAL],
        "critical": [id_i, auth, *rest, CRITICAL],
        "SPI below 256": [id_i, auth, *child_payloads(b"\0\0\0\1")],
    }
    answer = peer.ask(IKE_AUTH, 1, payloads.get(kind, [id_i, auth, *rest]))
    assert answer is not None
    error = query.error(answer)
    assert error is not None
    assert error.notify == notify
    assert not peer.net.b.manager.ike_sas
    assert not peer.net.b.plane.inbound
    if kind == "EAP":
        refused = 'the peer FQDN "gwa" failed (it wants EAP, and auth = "psk" is configured for it)'
        assert any(refused in log.text for log in peer.net.b.logs)


def test_ike_auth_of_which_only_the_child_is_refused() -> None:
    peer = HalfOpenAttacker(target(), address=ADDRESS_A)
    id_i, auth, _, *selectors = peer.auth_payloads()
    offer = Proposal(1, 3, CHILD, (Transform(1, 200, 128), Transform(5, 0)))
    answer = peer.ask(IKE_AUTH, 1, [id_i, auth, SaPayload((offer,)), *selectors])
    assert answer is not None
    assert query.notify(answer, NotifyType.NO_PROPOSAL_CHOSEN)
    (sa,) = peer.net.b.manager.ike_sas
    assert sa.established
    assert not sa.children


# What each error that we send does to the IKE_SA, at both ends: "ends" or "stands"
SENT = """
                                IKE_AUTH    CREATE_CHILD_SA INFORMATIONAL
UNSUPPORTED_CRITICAL_PAYLOAD    ends        stands          stands
INVALID_SYNTAX                  ends        ends            ends
AUTHENTICATION_FAILED           ends        ends            ends
NO_PROPOSAL_CHOSEN              stands      stands          stands
INVALID_KE_PAYLOAD              stands      stands          stands
SINGLE_PAIR_REQUIRED            stands      stands          stands
NO_ADDITIONAL_SAS               stands      stands          stands
INTERNAL_ADDRESS_FAILURE        stands      stands          stands
FAILED_CP_REQUIRED              stands      stands          stands
TS_UNACCEPTABLE                 stands      stands          stands
INVALID_SELECTORS               stands      stands          stands
UNACCEPTABLE_ADDRESSES          ends        stands          stands
UNEXPECTED_NAT_DETECTED         ends        stands          stands
TEMPORARY_FAILURE               stands      stands          stands
CHILD_SA_NOT_FOUND              stands      stands          stands
INVALID_IKE_SPI                 ends        stands          stands
INVALID_MAJOR_VERSION           ends        stands          stands
INVALID_MESSAGE_ID              ends        stands          stands
INVALID_SPI                     ends        stands          stands
"""
EXCHANGES = {
    "IKE_AUTH": [Exchange.IKE_AUTH],
    "CREATE_CHILD_SA": [Exchange.CHILD_CREATE, Exchange.CHILD_REKEY, Exchange.IKE_REKEY],
    "INFORMATIONAL": [Exchange.INFORMATIONAL],
}


@pytest.mark.parametrize(("name", "column", "expected"), cells(SENT))
def test_an_error_that_we_send(name: str, column: str, expected: str) -> None:
    for exchange in EXCHANGES[column]:
        step = error_handling.when_sent(exchange, NotifyType[name])
        assert step is (Step.END if expected == "ends" else Step.FAIL)
        assert error_handling.in_response(exchange, NotifyType[name]) in AGREES[step], "both ends agree"


# Whoever receives what we send does one of these
AGREES = {
    Step.END: {Step.END, Step.CLOSE},
    Step.FAIL: {Step.GONE, Step.AGAIN, Step.INSTEAD, Step.LATER, Step.FAIL},
}
