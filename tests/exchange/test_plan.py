"""A set-up with one more exchange than IKE_SA_INIT and IKE_AUTH: a second key exchange (RFC 9242, 9370)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from ikepy.crypto.kex import registry
from ikepy.errors import LocalMisuse, PeerError
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.state.exchange_plan import FurtherExchange
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer
from ikepy.sa.tasks.additional_ke import AdditionalKeyExchange
from ikepy.wire.constants import KeGroup, NotifyType
from ikepy.wire.message import decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload, Payload, VendorIdPayload
from ikepy.wire.proposal import Proposal
from tests.key_exchanges import Slow

from .network import (
    ADDRESS_A,
    ADDRESS_B,
    DELAY,
    Network,
    Options,
    Script,
    assert_joined,
    duplicate,
    lose,
)
from .tampering import answer_otherwise
from .test_established import ike_sa

KEM = registry.method(KeGroup.ML_KEM_768)
SET_UP = [
    "a -> b IKE_SA_INIT request 0",
    "b -> a IKE_SA_INIT response 0",
    "a -> b IKE_INTERMEDIATE request 1 1/2",
    "a -> b IKE_INTERMEDIATE request 1 2/2",
    "b -> a IKE_INTERMEDIATE response 1",
    "a -> b IKE_AUTH request 2",
    "b -> a IKE_AUTH response 2",
]
Plan = Sequence[FurtherExchange[IkeSa]]


@dataclass(frozen=True, slots=True)
class KeOptions(Options):
    """Additional key exchanges for the IKE_SA."""

    proposals: str = '["aes128gcm16-prfsha256-x25519-ke1_mlkem768"]'


ONCE = KeOptions()
THRICE = KeOptions(proposals='["aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem1024-ke5_ecp256"]')


class Differing:
    """The plans of the responder and of the initiator, by turns: in this order they ask for them."""

    def __init__(self, responder: Plan, initiator: Plan) -> None:
        self._plans = [responder, initiator]

    def __call__(self, sa: IkeSa, chosen: Proposal) -> Plan:
        self._plans.append(self._plans.pop(0))
        return self._plans[-1]


def connected(net: Network) -> Network:
    net.command("a", Initiate("ab", "net"))
    net.run(100)
    assert_joined(net)
    return net


def established(net: Network, name: str) -> int:
    return sum(sa.state == "ESTABLISHED" for sa in net.site(name).manager.list_sas(net.now))


def test_set_up() -> None:
    net = connected(Network(ONCE))
    assert net.ladder == SET_UP
    assert not net.a.errors() + net.b.errors()


def test_three_further_exchanges() -> None:
    net = connected(Network(THRICE))
    assert net.ladder[-2:] == ["a -> b IKE_AUTH request 4", "b -> a IKE_AUTH response 4"]
    net.command("b", Rekey(ike="ab"))
    net.run(60)
    assert_joined(net)


@pytest.mark.parametrize("by", ["a", "b"])
def test_rekeys_under_the_extended_keys(by: str) -> None:
    net = connected(Network(ONCE))
    for command in (Rekey(child="net"), Rekey(ike="ab")):
        net.command(by, command)
        net.run(60)
        assert_joined(net)
    assert not net.a.errors() + net.b.errors()


def test_every_exchange_gives_other_keys() -> None:
    """All draw the same for IKE_SA_INIT, so that SK_d differs by what follows it alone."""
    found = set()
    for net in (Network(), Network(ONCE), Network(THRICE)):
        connected(net)
        a, b = (ike_sa(net, name).keys.schedule.keys.sk_d for name in ("a", "b"))
        assert a == b
        found.add(a.expose())
    assert len(found) == 3


@pytest.mark.parametrize("seconds", [0.0, 0.3, 6.0])
@pytest.mark.parametrize("line", SET_UP)
@pytest.mark.parametrize("disturb", [lose, duplicate], ids=["lost", "twice"])
def test_disturbed(disturb: Callable[[str], Script], line: str, seconds: float) -> None:
    """Whatever is lost or comes twice, and whatever takes its time: one set-up, and nobody ends it.

    Where the response is lost, the responder has other keys by the time that the request comes again.
    """
    with registry.registered(Slow(KEM)):
        net = Network(ONCE)
        net.thinking = lambda site, job: seconds
        net.script = disturb(line)
        connected(net)
    assert len(net.computed) == 3, "the KEM's two steps at a, its one at b"
    assert not net.a.errors() + net.b.errors()
    assert established(net, "a") == established(net, "b") == 1
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_response_lost_again_and_again() -> None:
    net = Network(ONCE)
    net.script = lose("b -> a IKE_INTERMEDIATE response 1", times=3)
    connected(net)
    assert net.ladder.count("b -> a IKE_INTERMEDIATE response 1") == 4


def test_silence() -> None:
    """The log names the exchange that was not answered, and the initiator gives up."""
    net = Network(ONCE)
    net.script = lose("b -> a IKE_INTERMEDIATE response 1", times=100)
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(300)
    assert not net.a.outcomes[7].ok
    assert any("answered IKE_SA_INIT but not IKE_INTERMEDIATE (" in text for text in net.a.errors())


def test_auth_does_not_come_before_its_turn() -> None:
    """The responder's plan permits its next exchange alone; what comes instead is dropped."""
    net = Network(plan_of=Differing((AdditionalKeyExchange(KEM.id),), ()))
    net.command("a", Initiate("ab", "net"))
    net.run(20)
    assert net.ladder.count("a -> b IKE_AUTH request 1") > 1
    assert not [line for line in net.ladder if line.startswith("b -> a IKE_AUTH")]


def test_exchange_that_is_not_planned() -> None:
    """It is dropped, as any other before IKE_AUTH."""
    net = Network(plan_of=Differing((), (AdditionalKeyExchange(KEM.id),)))
    net.command("a", Initiate("ab", "net"))
    net.run(20)
    assert net.ladder.count("a -> b IKE_INTERMEDIATE request 1 1/2") > 1
    assert not [line for line in net.ladder if line.startswith("b -> a IKE_INTERMEDIATE")]


@dataclass(frozen=True, slots=True)
class Refusing(AdditionalKeyExchange):
    """A responder that refuses what it is asked."""

    def respond(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "not with us")


def test_refused() -> None:
    """An error ends the set-up at both ends (RFC 9242 3.4)."""
    net = Network(plan_of=lambda sa, chosen: (Refusing(KEM.id),))
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(1)
    assert not net.a.outcomes[7].ok
    assert not net.b.manager.list_sas(net.now)
    assert any("NO_PROPOSAL_CHOSEN" in text for text in net.a.errors())


def test_what_the_set_up_knew_is_gone() -> None:
    """Messages and nonces of IKE_SA_INIT, and the plan, go with the state that needs them."""
    net = Network(ONCE)
    net.command("a", Initiate("ab", "net"))
    connecting = ike_sa(net, "a")
    assert connecting.connecting.init.request
    net.run(1)
    for name in ("a", "b"):
        assert ike_sa(net, name).established
        with pytest.raises(LocalMisuse):
            assert ike_sa(net, name).connecting


RESPONSE = "b -> a IKE_INTERMEDIATE response 1"


def test_auth_covers_it() -> None:
    """Who can seal messages adds to one what changes nothing else: AUTH does not verify (RFC 9242 3.3.2)."""
    net = Network(ONCE)
    add = (VendorIdPayload(b"of another"),)
    answer_otherwise(net, RESPONSE, lambda: net.command("a", Initiate("ab", "net")), lambda ps: (*ps, *add))
    net.run(1)
    assert not established(net, "a") + established(net, "b")
    assert any("authentication of the peer" in text for text in net.b.errors())


@pytest.mark.parametrize("size", [576, 0, 1500])
def test_auth_covers_it_in_whatever_form_it_comes(size: int) -> None:
    """The ends send fragments of other sizes, or none at all."""
    large = KeOptions(daemon="fragment_size = 9000")
    small = KeOptions(daemon=f"fragment_size = {size}")
    for options in ((large, small), (small, large), (KeOptions(connection='fragmentation = "no"'), small)):
        connected(Network(*options))


def test_peer_without_intermediate_exchanges() -> None:
    """It ignores the proposal, whose transform types it does not know, and takes the other one."""
    both = KeOptions(
        proposals='["aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes128gcm16-prfsha256-x25519"]'
    )
    for one, other in ((both, Options()), (Options(), both)):
        net = connected(Network(one, other))
        assert net.ladder[2:] == ["a -> b IKE_AUTH request 1", "b -> a IKE_AUTH response 1"]


def test_request_that_does_not_announce_intermediate_exchanges() -> None:
    """Its additional key exchanges are not chosen (RFC 9370 2.2.1); nobody has authenticated it."""
    net = Network(ONCE)
    without_notify(net, "a -> b IKE_SA_INIT request 0")
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert "NO_PROPOSAL_CHOSEN" in net.b.logs[-1].text


def test_response_that_does_not_announce_intermediate_exchanges() -> None:
    """It is ignored, as anybody may have sent it; the true one counts."""
    net = Network(ONCE)
    without_notify(net, "b -> a IKE_SA_INIT response 0")
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert any("does not support IKE_INTERMEDIATE" in text for text in net.a.errors())


def without_notify(net: Network, wanted: str) -> None:
    """Take INTERMEDIATE_EXCHANGE_SUPPORTED out of a message."""

    def take(line: str, nth: int, data: bytes) -> list[float]:
        if line == wanted:
            message = decode_message(data)
            payloads = [p for p in message.payloads if not _announces(p)]
            assert len(payloads) < len(message.payloads)
            to = line[5]
            here, there = (ADDRESS_A, ADDRESS_B) if to == "a" else (ADDRESS_B, ADDRESS_A)
            net.inject(
                to, Path(Endpoint(here, 500), Endpoint(there, 500)), encode_message(message.header, payloads)
            )
            return []
        return [DELAY]

    net.script = take


def _announces(payload: Payload) -> bool:
    return isinstance(payload, NotifyPayload) and payload.notify == NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED


# -- what is safe of later quantum computers ------------------------------------------------------------


def safe(net: Network) -> set[tuple[bool, ...]]:
    """At both ends: the IKE_SA, then its children."""
    snapshots = [sa for site in (net.a, net.b) for sa in site.manager.list_sas(net.now)]
    return {(sa.quantum_safe, *(child.quantum_safe for child in sa.children)) for sa in snapshots}


def test_quantum_safe() -> None:
    """The first child, which has no key exchange of its own, and what rekeys make."""
    net = connected(Network(ONCE))
    assert safe(net) == {(True, True)}
    for command in (Rekey(ike="ab"), Rekey(child="net")):
        net.command("b", command)
        net.run(60)
    assert safe(net) == {(True, True)}


def test_not_quantum_safe() -> None:
    """Where the peer does without, the log says so."""
    both = KeOptions(
        proposals='["aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes128gcm16-prfsha256-x25519"]'
    )
    net = connected(Network(both, Options(esp_proposals='["aes128gcm16-mlkem768", "aes128gcm16"]')))
    assert safe(net) == {(False, False)}
    assert any("it is not quantum-safe" in log.text for log in net.a.logs)
    assert not any("it is not quantum-safe" in log.text for log in net.b.logs)


def test_child_alone_is_quantum_safe() -> None:
    options = Options(esp_proposals='["aes128gcm16-mlkem768"]')
    net = connected(Network(options))
    assert safe(net) == {(False, False)}
    net.command("a", Rekey(child="net"))
    net.run(60)
    assert safe(net) == {(False, True)}
