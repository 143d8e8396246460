"""Against responders whose configuration is known: exactly that is found, and little is asked for it."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikepy.probe.discovery.algorithms import ADDKE, CANDIDATES, ENCR, INTEG, KE, PRF
from ikepy.probe.discovery.asking import Options
from ikepy.probe.discovery.odd_messages import Expected
from ikepy.probe.discovery.report import Report
from ikepy.probe.discovery.run import discover
from ikepy.wire.constants import Encr, Integ, KeGroup, NotifyType, Prf, TransformType
from ikepy.wire.payloads import NotifyPayload, VendorIdPayload
from ikepy.wire.proposal import Transform
from ikepy.wire.redirect import encode_gateway
from tests.unit.probe.discovery.responder import X25519, Responder, encr, integ, ke, listening, prf, suite
from tests.unit.probe.discovery.test_ikev1 import accepted as accepted_by_ikev1

QUICK = Options(rate=100_000, timeout=0.15, tries=1, patience=0.01)
LOOPBACK = ip_address("127.0.0.1")
MODERN = suite(
    encr(Encr.AES_GCM_16, 256),
    encr(Encr.AES_GCM_16, 128),
    prf(Prf.HMAC_SHA2_256),
    prf(Prf.HMAC_SHA2_384),
    *ke(KeGroup.CURVE_25519, KeGroup.ECP_384),
)
OLD = suite(encr(Encr.TRIPLE_DES_CBC), prf(Prf.HMAC_SHA1), integ(Integ.HMAC_SHA1_96), *ke(KeGroup.MODP_1024))


def probe(responder: Responder, options: Options = QUICK) -> Report:
    async def run() -> Report:
        async with listening(responder) as (port, nat_port):
            asked = replace(options, port=port, nat_port=nat_port)
            return await discover("here", LOOPBACK, asked, random.Random(1).randbytes, lambda _: None)

    return asyncio.run(run())


def accepted(report: Report) -> set[Transform]:
    return {one for kind in (KE, ENCR, PRF, INTEG, ADDKE) for one in report.accepted(kind)}


def unclear(report: Report) -> list[Transform]:
    return [one for found in report.transforms.values() for one in found.unclear]


def test_a_modern_configuration() -> None:
    responder = Responder([MODERN])
    report = probe(responder)
    assert accepted(report) == MODERN
    assert not unclear(report)
    assert report.complete
    assert [port.state for port in report.ports.values()] == ["answers", "answers"]


def test_little_is_left_behind_and_few_requests_are_sent() -> None:
    responder = Responder([MODERN])
    report = probe(responder)
    assert responder.half_open <= 2
    assert report.requests < 75
    assert report.timing.repeated == "the same answer"


def test_an_algorithm_that_is_accepted_only_beside_another_one_is_found() -> None:
    report = probe(Responder([MODERN, OLD]))
    assert accepted(report) == MODERN | OLD


def test_only_what_is_hardly_anywhere() -> None:
    rare = suite(encr(2), prf(1), integ(1), *ke(1))
    assert accepted(probe(Responder([rare]))) == rare


def test_a_group_that_we_cannot_compute() -> None:
    odd = suite(encr(Encr.AES_CBC, 128), prf(Prf.HMAC_SHA1), integ(Integ.HMAC_SHA1_96), *ke(24))
    report = probe(Responder([odd]))
    assert accepted(report) == odd
    assert "MODP_2048_256" in report.suite


def test_everything() -> None:
    all_of_it = frozenset(one for kind in (ENCR, PRF, INTEG, KE) for one in CANDIDATES[kind])
    with_integ = frozenset(one for one in all_of_it if one.type != ENCR or one.id in (1, 2, 3, 12, 13, 23))
    without = frozenset(
        one for one in all_of_it if one.type != INTEG and (one.type != ENCR or one.id in (18, 19, 20))
    )
    report = probe(Responder([with_integ, without]))
    assert accepted(report) == with_integ | without


def test_additional_key_exchanges() -> None:
    hybrid = MODERN | {Transform(TransformType.ADDKE1, KeGroup.ML_KEM_768)}
    report = probe(Responder([MODERN, hybrid]))
    assert report.accepted(ADDKE) == [Transform(TransformType.ADDKE1, KeGroup.ML_KEM_768)]


def test_nothing_without_additional_key_exchanges() -> None:
    hybrid = MODERN | {Transform(TransformType.ADDKE1, KeGroup.ML_KEM_768)}
    assert accepted(probe(Responder([hybrid]))) == hybrid


def test_what_is_accepted_only_beside_additional_key_exchanges() -> None:
    hybrid = OLD | {Transform(TransformType.ADDKE1, KeGroup.ML_KEM_1024)}
    assert accepted(probe(Responder([MODERN, hybrid]))) == MODERN | hybrid


def test_ml_kem_as_the_only_key_exchange() -> None:
    alone = suite(encr(Encr.AES_GCM_16, 256), prf(Prf.HMAC_SHA2_512), *ke(KeGroup.ML_KEM_1024))
    assert accepted(probe(Responder([alone]))) == alone


def test_cookies() -> None:
    responder = Responder([MODERN], cookies=True)
    report = probe(responder)
    assert accepted(report) == MODERN
    assert report.cookies.at_first
    assert report.cookies.false_cookie == "another COOKIE is asked for"
    assert report.odd


def test_a_false_cookie_that_nobody_wants() -> None:
    report = probe(Responder([MODERN]))
    assert report.cookies.asked_for == 0
    assert report.cookies.false_cookie == "ignored (INVALID_KE_PAYLOAD)"


def odd(report: Report, expected: Expected) -> dict[str, str]:
    """The verdicts of the odd messages of that kind."""
    return {one.name: one.verdict for one in report.odd if one.expected == expected.value}


def test_late_answers_are_judged_as_those_to_their_own_messages() -> None:
    report = probe(Responder([MODERN], seconds=0.03), replace(QUICK, timeout=2.0))
    assert set(odd(report, Expected.HONEST).values()) == {"as RFC 7296 has it"}
    answered = {one.name for one in report.odd if one.answer != "no answer"}
    assert "no nonce" in answered
    assert "a length beyond the datagram" not in answered


@pytest.mark.parametrize("lost", [b"\x25", b"\x10"])
def test_one_lost_datagram_changes_nothing(lost: bytes) -> None:
    """Of minor version 5, and of IKEv1."""
    seen: list[bytes] = []

    def first(datagram: bytes) -> bool:
        seen.append(datagram[17:18])
        return seen.count(lost) == 1 and seen[-1] == lost

    body = accepted_by_ikev1((1, 7), (14, 128), (2, 2), (3, 1), (4, 2))
    old = (4 + len(body)).to_bytes(4, "big") + body
    options = replace(QUICK, timeout=0.2, tries=3, listen=0.2)
    report = probe(Responder([MODERN], lost=first, old=old), options)
    assert seen.count(lost) > 1
    assert set(odd(report, Expected.HONEST).values()) == {"as RFC 7296 has it"}
    assert report.ikev1.alive


def test_an_honest_message_that_is_never_answered_is_not_as_it_should_be() -> None:
    """It is sent three times, and what comes later is answered."""
    report = probe(Responder([MODERN], lost=lambda datagram: datagram[17:18] == b"\x25"))
    verdicts = odd(report, Expected.HONEST)
    assert verdicts.pop("minor version 5") == "not as RFC 7296 has it"
    assert set(verdicts.values()) == {"as RFC 7296 has it"}


def test_the_silence_of_a_host_that_is_gone_says_nothing() -> None:
    gone: list[bytes] = []

    def after_minor_version_5(datagram: bytes) -> bool:
        gone.extend([datagram] if datagram[17:18] == b"\x25" else [])
        return bool(gone) and datagram not in gone

    report = probe(Responder([MODERN], lost=after_minor_version_5))
    verdicts = [one.verdict for one in report.odd]
    assert verdicts[1] == "as RFC 7296 has it"
    assert set(verdicts[2:]) == {"unclear"}
    assert any("an honest request any more" in one for one in report.remarks)


def test_odd_messages_of_which_nothing_is_accepted() -> None:
    """NO_PROPOSAL_CHOSEN is the answer to an honest request, too."""
    report = probe(Responder([]))
    assert set(odd(report, Expected.HONEST).values()) == {"as RFC 7296 has it"}


@pytest.mark.parametrize("most", [4, 12, 25])
def test_who_gives_no_answer_to_refusals_and_then_none_at_all(most: int) -> None:
    """What is not accepted is not refused either: the host is gone."""
    report = probe(Responder([MODERN], mute=True, most=most))
    assert not report.complete
    refused = {one for found in report.transforms.values() for one in found.refused}
    assert not refused & MODERN
    assert report.grades[0].letter == "-"


def test_refusals_without_an_answer() -> None:
    report = probe(Responder([MODERN], mute=True))
    assert accepted(report) == MODERN
    assert any("silence is taken as a refusal" in one for one in report.remarks)


def test_a_strict_responder_is_asked_with_half_open_sas_in_its_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ikepy.probe.discovery.asking.HALF_OPEN_SECONDS", 0.01)
    small = suite(encr(Encr.AES_GCM_16, 128), prf(Prf.HMAC_SHA2_256), *X25519)
    responder = Responder([small], strict=True)
    report = probe(responder)
    assert accepted(report) == small
    assert any("half-open" in one for one in report.remarks)
    assert responder.half_open > 3


def test_a_redirect_is_told_and_not_followed() -> None:
    responder = Responder([MODERN], redirect=encode_gateway("elsewhere.example.org"))
    report = probe(responder)
    assert report.features.redirect == "elsewhere.example.org"
    assert accepted(report) == MODERN


def test_nobody_listens() -> None:
    async def run() -> Report:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            ports = one.getsockname()[1], two.getsockname()[1]
        asked = replace(QUICK, port=ports[0], nat_port=ports[1])
        return await discover("here", LOOPBACK, asked, random.Random(1).randbytes, lambda _: None)

    report = asyncio.run(run())
    assert [port.state for port in report.ports.values()] == ["port unreachable"] * 2
    assert not report.answers
    assert report.requests <= 4


def test_nothing_is_answered() -> None:
    report = probe(Responder([MODERN], most=0))
    assert [port.state for port in report.ports.values()] == ["no answer"] * 2
    assert report.requests <= 4


def test_who_falls_silent_is_left_alone() -> None:
    responder = Responder([MODERN], most=12)
    report = probe(responder)
    assert not report.complete
    assert any("without an answer" in one for one in report.remarks)
    assert len(responder.requests) < 30
    assert report.grades[0].letter == "-"


def test_no_more_requests_than_permitted() -> None:
    responder = Responder([MODERN])
    report = probe(responder, replace(QUICK, most=10))
    assert len(responder.requests) <= 11  # a repetition is no request of its own
    assert not report.complete


def test_the_rate_is_kept() -> None:
    async def run() -> float:
        async with listening(Responder([MODERN])) as (port, nat_port):
            asked = replace(QUICK, port=port, nat_port=nat_port, rate=20.0, most=5)
            begun = asyncio.get_running_loop().time()
            await discover("here", LOOPBACK, asked, random.Random(1).randbytes, lambda _: None)
            return asyncio.get_running_loop().time() - begun

    assert asyncio.run(run()) >= 4 / 20


def test_repetitions_of_ikev1() -> None:
    body = accepted_by_ikev1((1, 7), (14, 128), (2, 2), (3, 1), (4, 2))
    payload = (4 + len(body)).to_bytes(4, "big") + body
    report = probe(Responder([MODERN], old=payload), replace(QUICK, listen=0.5))
    assert report.ikev1.main_accepted
    assert len(report.ikev1.repeats_after) == 2
    assert report.ikev1.aggressive_accepted


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_back_is_only_told(seed: int) -> None:
    noise = random.Random(seed)
    report = probe(Responder([MODERN], raw=noise.randbytes(noise.choice((0, 3, 20, 21, 60, 300)))))
    assert not accepted(report)


def test_features() -> None:
    extra = (
        NotifyPayload(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
        NotifyPayload(NotifyType.CHILDLESS_IKEV2_SUPPORTED),
        NotifyPayload(NotifyType.USE_PPK),
        NotifyPayload(NotifyType.SIGNATURE_HASH_ALGORITHMS, bytes([0, 2, 0, 5, 0x12, 0x34])),
        NotifyPayload(NotifyType.SUPPORTED_AUTH_METHODS, bytes([2, 2, 3, 0, 14])),
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
        NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, bytes(20)),
        NotifyPayload(40000),
        VendorIdPayload(b"<script>alert(1)</script>"),
    )
    features = probe(Responder([MODERN], extra=extra)).features
    assert features.fragmentation
    assert features.childless
    assert features.ppk
    assert not features.intermediate
    assert features.signature_hashes == ["SHA2_256", "IDENTITY", "hash 4660"]
    assert features.auth_methods == ["SHARED_KEY_MIC", "DIGITAL_SIGNATURE"]
    assert features.nat_before_us
    assert features.nat_before_peer
    assert features.other_notifies == ["notify 40000"]
