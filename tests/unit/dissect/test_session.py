"""What an onlooker makes of real negotiations between two machines, with the keys that they tell it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from ikepy.dissect.ike import dissect_ike
from ikepy.dissect.message import Kind, Message
from ikepy.dissect.session import Session
from ikepy.dissect.tree import Layer
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.path import Endpoint
from ikepy.sa.tasks.liveness import Liveness
from ikepy.wire.constants import PayloadType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import SkfPayload
from tests.exchange.network import DELAY, Options, assert_joined, lose
from tests.exchange.test_crash_detection import SECRET
from tests.exchange.test_eap import options as eap_options
from tests.exchange.test_established import do
from tests.exchange.test_ppk import GOOD, KEM
from tests.exchange.test_ppk import in_auth as in_auth  # a fixture
from tests.exchange.test_pubkey import A as MOON
from tests.exchange.test_pubkey import B as SUN
from tests.exchange.test_pubkey import memories
from tests.exchange.test_resumption import KEY, RESUMES
from tests.pki import chain
from tests.unit.dissect.onlooker import ENDS, Onlooker

PSK = b"correct horse"
RIGHT = [
    "AUTH of the initiator is right: by the preshared key that was given",
    "AUTH of the responder is right: by the preshared key that was given",
]
SUITES = [
    "aes128-sha1-prfsha1-modp2048",
    "3des-sha256-modp2048",
    "aes192ctr-sha512-ecp256",
    "aes256ccm16-prfsha384-x25519",
    "aes128gcm8-prfsha256-x25519",
    "chacha20poly1305-prfsha512-x448",
    "camellia256-aesxcbc-prfaesxcbc-ecp384",
    "aes128-aescmac-prfaescmac-x25519",
]


def set_up(onlooker: Onlooker) -> Onlooker:
    onlooker.net.command("a", Initiate("ab", "net"))
    onlooker.net.run(10)
    assert_joined(onlooker.net)
    return onlooker


def test_set_up_is_read_and_proven() -> None:
    seen = set_up(Onlooker(psks=[b"another", PSK]))
    first, second, auth, answer = seen.summaries
    assert first.startswith("IKE_SA_INIT request 0 [ SA KE No N(")
    assert second.startswith("IKE_SA_INIT response 0 [ SA KE No N(")
    assert auth.startswith("IKE_AUTH request 1 [ IDi ") and auth.endswith(" SA TSi TSr ]")
    assert answer.startswith("IKE_AUTH response 1 [ IDr AUTH ")
    assert seen.findings == RIGHT
    assert seen.problems == []
    message = seen.ladder[2]
    inside = message.layers[1].node.find("Identity")
    assert inside is not None and inside.value == '"gwa"'
    sealed = message.layers[0].node.find("Initialization vector")
    assert sealed is not None and sealed.end - sealed.start == 8


@pytest.mark.parametrize("suite", SUITES)
def test_suites(suite: str) -> None:
    seen = set_up(Onlooker(Options(proposals=f'["{suite}"]'), psks=[PSK]))
    assert seen.findings == RIGHT and seen.problems == []


def test_wrong_preshared_key_is_told() -> None:
    seen = set_up(Onlooker(psks=[b"wrong"]))
    assert seen.findings == []
    assert seen.problems == [
        f"AUTH of the {who} was not made with the preshared key that was given"
        for who in ("initiator", "responder")
    ]


def test_without_keys_nothing_is_opened() -> None:
    seen = set_up(Onlooker(psks=[PSK], tells_secrets=False, tells_keys=False))
    assert seen.summaries[2:] == ["IKE_AUTH request 1 [ SK ]", "IKE_AUTH response 1 [ SK ]"]
    assert seen.findings == [] and seen.problems == []


def test_keys_that_come_late_open_what_was_seen() -> None:
    seen = set_up(Onlooker(psks=[PSK], tells_secrets=False, tells_keys=False))
    changed = seen.session.add_ike_keys(seen.told[0])
    assert [one.number for one in changed] == [2, 3]
    assert all(one.opened for one in changed)
    assert [text for one in changed for text in one.findings] == RIGHT


def test_wrong_keys_are_told() -> None:
    seen = set_up(Onlooker(tells_secrets=False, tells_keys=False))
    other = set_up(Onlooker(Options(proposals='["aes128gcm16-prfsha384-x25519"]')))
    right, wrong = seen.told[0], other.told[0]
    sealing = (wrong.encryption, wrong.sk_ei, wrong.sk_er)
    session = Session()
    session.add_ike_keys(type(right)(right.spi_i, right.spi_r, *sealing))
    told = [session.feed(0.0, ENDS["a"], ENDS["b"], data) for data in seen.datagrams]
    assert told[2] is not None and told[2].problems == ("not opened: wrong integrity check value",)


@pytest.mark.parametrize(
    "options",
    [Options(proposals=KEM), Options(proposals=KEM, more=GOOD, connection='ppk_id = "ppk1"\n')],
    ids=["additional key exchanges", "a PPK in IKE_INTERMEDIATE"],
)
def test_intermediate_exchanges_count_in_auth(options: Options) -> None:
    seen = set_up(Onlooker(options, psks=[PSK]))
    assert "IKE_INTERMEDIATE request 1 [ KE ]" in seen.summaries
    assert seen.findings == RIGHT and seen.problems == []


def test_secrets_of_key_exchanges_are_enough() -> None:
    """Everything else follows from what is on the wire: SK_*, ESP's keys, those after rekeys."""
    options = Options(proposals=KEM, esp_proposals='["aes128gcm16-x25519"]')
    seen = set_up(Onlooker(options, psks=[PSK], tells_keys=False))
    seen.net.command("a", Rekey(ike="ab"))
    seen.net.run()
    seen.net.command("b", Rekey(child="net"))
    seen.net.run(60)
    assert seen.problems == []
    assert [one for one in seen.summaries if "[ SK ]" in one] == []
    assert seen.findings == RIGHT
    for site in (seen.net.a, seen.net.b):
        for child in site.plane.inbound.values():
            (keys,) = seen.session.keys.esp[child.spi]
            assert keys.key + keys.integrity_key == child.keys.expose()
    derived = {keys for known in seen.session.keys.ike.values() for keys in known}
    assert derived == set(seen.told)


def test_eap_without_a_key() -> None:
    """The gateway proves itself by its secret, the user by EAP-MD5, and then both by SK_p (RFC 7296 2.16)."""
    seen = set_up(Onlooker(*eap_options("eap-md5"), psks=[PSK]))
    assert seen.problems == []
    assert seen.findings == [
        RIGHT[1],
        "AUTH of the initiator is right: by SK_p, as EAP made no key",
        "AUTH of the responder is right: by SK_p, as EAP made no key",
    ]
    assert any("EAP" in one for one in seen.summaries)


def test_eap_with_a_key_is_not_judged() -> None:
    seen = set_up(Onlooker(*eap_options("eap-mschapv2"), psks=[PSK]))
    assert (seen.findings, seen.problems) == (RIGHT[1:], [])


SCHEMES = [("ecdsa", "ecdsa-sha256"), ("rsa", "rsa/pss-sha256"), ("ed25519", "ed25519")]


@pytest.mark.parametrize(("kind", "scheme"), SCHEMES)
def test_signatures(kind: str, scheme: str) -> None:
    seen = set_up(Onlooker(MOON, SUN, credentials=memories(chain(kind))))
    assert seen.problems == []
    for finding, who in zip(seen.findings, ("initiator", "responder"), strict=True):
        assert finding.startswith(f"AUTH of the {who} is right: ")
        assert scheme in finding.lower() and finding.endswith("; who issued that is not looked at")


def test_a_signature_of_somebody_else() -> None:
    """As if the keys were those of another IKE SA: SK_p is covered."""
    seen = set_up(
        Onlooker(MOON, SUN, credentials=memories(chain("ecdsa")), tells_secrets=False, tells_keys=False)
    )
    (told,) = set(seen.told)
    changed = seen.session.add_ike_keys(replace(told, sk_pi=bytes(32)))
    (problem,) = [text for one in changed for text in one.problems]
    assert problem.startswith("AUTH of the initiator is wrong: its signature is wrong")


def test_a_ppk_in_ike_auth(in_auth: None) -> None:
    """AUTH covers keys that are told once it is accepted (RFC 8784 3): it is judged afterwards alone."""
    options = Options(more=GOOD, connection='ppk_id = "ppk1"\n')
    seen = set_up(Onlooker(options, psks=[PSK]))
    assert seen.problems == []
    assert seen.findings[0].endswith("can't be verified: it covers a postquantum preshared key")
    afterwards = Session(psks=[PSK])
    for told in seen.told:
        afterwards.keys.add_ike(told)
    messages = [afterwards.feed(0.0, ENDS["a"], ENDS["b"], data) for data in seen.datagrams]
    assert [text for one in messages if one is not None for text in one.findings] == RIGHT
    for child in seen.net.a.plane.inbound.values():
        (keys,) = afterwards.keys.esp[child.spi]
        assert keys.key == child.keys.expose()
        assert all(one.key == keys.key for one in seen.session.keys.esp.get(child.spi, []))


def test_resumption() -> None:
    seen = Onlooker(RESUMES)
    net = seen.net
    net.b.restart_keys.tickets, net.b.restart_keys.crash = (KEY,), (SECRET,)
    net.b.restart_keys.epoch = 1_700_000_000.0
    set_up(seen)
    net.run(15)
    net.b.restart()
    do(net, "a", Liveness())
    net.run()
    assert seen.findings == [
        f"AUTH of the {who} is right: by the ticket's keys" for who in ("initiator", "responder")
    ]
    assert seen.problems == []


def test_fragments_are_put_together() -> None:
    options = Options(daemon="fragment_size = 576", proposals=KEM)
    lost = lose("a -> b IKE_INTERMEDIATE request 1 2/3")
    seen = set_up(Onlooker(options, psks=[PSK], script=lost))
    assert seen.findings == RIGHT and seen.problems == []
    (message,) = [one for one in seen.ladder if one.summary == "IKE_INTERMEDIATE request 1 [ KE ]"]
    assert [one.name for one in message.layers[:3]] == [f"IKE fragment {n} of 3" for n in (1, 2, 3)]
    assert len(message.copies) >= 3  # the fragments again, until the response came
    assert message.layers[-1].name == "Decrypted payloads"


def test_retransmissions_are_grouped() -> None:
    seen = set_up(Onlooker(script=lose("b -> a IKE_AUTH response 1")))
    assert len(seen.ladder) == 4
    assert [len(one.copies) for one in seen.ladder] == [0, 0, 1, 1]
    assert seen.ladder[2].copies[0] == pytest.approx(seen.ladder[3].copies[0] - DELAY)


A, B = (Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500))


def test_what_port_4500_carries() -> None:
    seen = set_up(Onlooker())
    session = Session(seen.session.keys)
    keepalive = session.feed(1.0, A, B, b"\xff")
    esp = session.feed(2.0, A, B, bytes.fromhex("00001001 00000007") + bytes(40))
    ike = session.feed(3.0, A, B, bytes(4) + seen.datagrams[0])
    assert keepalive is not None and keepalive.kind is Kind.KEEPALIVE
    assert esp is not None and (esp.kind, esp.summary) == (Kind.ESP, "ESP 0x00001001, sequence number 7")
    assert ike is not None and ike.summary == seen.summaries[0]
    other = Endpoint(A.address, 53)
    assert session.feed(4.0, other, other, b"a query for a name") is None


def test_memory_is_bounded() -> None:
    session = Session(most=100)
    for number in range(300):
        session.feed(0.0, A, B, (number + 256).to_bytes(4, "big") + bytes(12))
    assert session.kept == 100


def test_secrets_that_come_last_open_everything() -> None:
    """As in a capture whose keys are read afterwards: in the order of messages, one after the other."""
    options = Options(proposals=KEM, esp_proposals='["aes128gcm16-x25519"]')
    seen = set_up(Onlooker(options, psks=[PSK]))
    seen.net.command("a", Rekey(ike="ab"))
    seen.net.run()
    seen.net.command("b", Rekey(child="net"))
    seen.net.run(60)
    session = Session(psks=[PSK])
    for data in seen.datagrams:
        session.feed(0.0, ENDS["a"], ENDS["b"], data)
    for (public_i, public_r), secret in seen.session.keys.secrets.items():
        session.keys.add_secret(public_i, public_r, secret)
    changed = session.reopened()
    assert [one.summary for one in changed] == [one.summary for one in seen.ladder if one.opened]
    assert [text for one in changed for text in one.findings] == RIGHT
    assert session.keys.esp == seen.session.keys.esp
    assert session.reopened() == []


def test_secrets_that_come_one_exchange_late() -> None:
    """As the initiator's key log has them: each is told once the response has been read."""
    options = Options(proposals=KEM, esp_proposals='["aes128gcm16-x25519"]')
    seen = Onlooker(options, psks=[PSK], tells_keys=False, only="a")
    set_up(seen)
    seen.net.command("a", Rekey(child="net"))
    seen.net.run(60)
    assert seen.findings == RIGHT and seen.problems == []
    for child in seen.net.a.plane.inbound.values():
        assert child.spi in seen.session.keys.esp


def test_a_flood_of_fragments_is_not_dissected_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counting(octets: bytes, *rest: Any) -> Layer:
        nonlocal count
        count += 1
        return dissect_ike(octets, *rest)

    monkeypatch.setattr("ikepy.dissect.opening.dissect_ike", counting)
    session, header = Session(), IkeHeader(b"A" * 8, b"B" * 8, 35, 8, 1)
    for number in range(1, 256):
        octets = encode_message(header, [SkfPayload(35, number, 255, bytes(40))])
        session.feed(0.0, A, B, bytes(4) + octets)
        session.feed(0.0, A, B, bytes(4) + octets)
    assert session.kept == 1 and count == 255


def test_forged_fragments_hide_nothing() -> None:
    """Somebody sends others of the same numbers, and of a higher total, before the right ones."""
    options = Options(daemon="fragment_size = 576", proposals=KEM)
    seen = set_up(Onlooker(options, psks=[PSK]))
    session = Session(seen.session.keys, [PSK])
    told: dict[int, Message] = {}
    for data in seen.datagrams:
        given = [data]
        if data[16] == PayloadType.SKF:
            higher = data[:34] + b"\0\x09" + data[36:]
            given = [data[:-1] + bytes([data[-1] ^ 1]), higher, data]
        for octets in given:
            message = session.feed(0.0, ENDS["a"], ENDS["b"], octets)
            assert message is not None
            told[message.number] = message
    assert [one.summary for one in told.values()] == seen.summaries
    assert [text for one in told.values() for text in one.findings] == RIGHT
    forged = [one for one in told.values() if len(one.layers) > 2]
    assert forged and all("not opened: wrong integrity check value" in one.problems for one in forged)
