"""A set-up with one more exchange than IKE_SA_INIT and IKE_AUTH: a second key exchange (RFC 9242, 9370)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from ikepy.config.model import Connection
from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.prf import prf
from ikepy.errors import LocalMisuse, PeerError
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange import key_exchange
from ikepy.sa.message import query
from ikepy.sa.state.exchange_plan import FurtherExchange
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer, Task, TaskKind
from ikepy.sa.tasks import desired, next_exchange
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, Payload
from ikepy.wire.proposal import Proposal
from tests.key_exchanges import MlKem768, Slow

from .network import Network, Script, assert_joined, duplicate, lose
from .test_established import ike_sa

KEM = MlKem768(id=1025)  # of the private use range
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


@dataclass(slots=True)
class SecondKeyExchange:
    """A key exchange in IKE_INTERMEDIATE that extends the key schedule, in both roles.

    `salt`: what an end takes for a part of the exchange, though it was not.
    """

    method: int
    salt: bytes = b""
    exchange: ExchangeType = field(default=ExchangeType.IKE_INTERMEDIATE, init=False)

    def initiate(self) -> Task[IkeSa]:
        return SecondKeyExchangeTask(self)

    def respond(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
        ke, secret = key_exchange.answer(sa, self.method, payloads)
        self.cover(sa, query.must(payloads, KePayload).data, ke.data)
        return Answer([ke], keys=sa.keys.extended(secret, sa.seed))

    def cover(self, sa: IkeSa, *publics: bytes) -> None:
        """Have AUTH cover it: in the place of RFC 9242 3.3.2, both public values, and all that was before."""
        seen = sa.connecting.int_auth, self.salt, *publics
        sa.connecting.int_auth = prf(sa.keys.suite.prf).compute(b"IntAuth", *seen)


class SecondKeyExchangeTask(Task[IkeSa]):
    """The initiator's side."""

    kind = TaskKind.INTERMEDIATE

    def __init__(self, of: SecondKeyExchange) -> None:
        self._of = of
        self._ke: Begun | None = None

    @property
    def exchange(self) -> ExchangeType:
        return self._of.exchange

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        self._ke = key_exchange.begin(sa, self._of.method)
        return [KePayload(self._of.method, self._ke.public)]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        secret = key_exchange.finish(sa, self._ke, self._of.method, payloads, fatal=True)
        assert self._ke is not None
        self._of.cover(sa, self._ke.public, query.must(payloads, KePayload).data)
        sa.extend_keys(sa.keys.extended(secret, sa.seed))
        next_exchange.initiate(sa)
        return []

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return desired.abandon(sa, reason)


def once(connection: Connection, chosen: Proposal) -> Plan:
    return (SecondKeyExchange(KEM.id),)


def thrice(connection: Connection, chosen: Proposal) -> Plan:
    return tuple(SecondKeyExchange(KEM.id) for _ in range(3))


class Differing:
    """The plans of the responder and of the initiator, by turns: in this order they ask for them."""

    def __init__(self, responder: Plan, initiator: Plan) -> None:
        self._plans = [responder, initiator]

    def __call__(self, connection: Connection, chosen: Proposal) -> Plan:
        self._plans.append(self._plans.pop(0))
        return self._plans[-1]


@pytest.fixture(autouse=True)
def kem() -> Iterator[None]:
    with registry.registered(KEM):
        yield


def connected(net: Network) -> Network:
    net.command("a", Initiate("ab", "net"))
    net.run(100)
    assert_joined(net)
    return net


def established(net: Network, name: str) -> int:
    return sum(sa.state == "ESTABLISHED" for sa in net.site(name).manager.list_sas(net.now))


def test_set_up() -> None:
    net = connected(Network(plan_of=once))
    assert net.ladder == SET_UP
    assert not net.a.errors() + net.b.errors()


def test_three_further_exchanges() -> None:
    net = connected(Network(plan_of=thrice))
    assert net.ladder[-2:] == ["a -> b IKE_AUTH request 4", "b -> a IKE_AUTH response 4"]
    net.command("b", Rekey(ike="ab"))
    net.run(60)
    assert_joined(net)


@pytest.mark.parametrize("by", ["a", "b"])
def test_rekeys_under_the_extended_keys(by: str) -> None:
    net = connected(Network(plan_of=once))
    for command in (Rekey(child="net"), Rekey(ike="ab")):
        net.command(by, command)
        net.run(60)
        assert_joined(net)
    assert not net.a.errors() + net.b.errors()


def test_every_exchange_gives_other_keys() -> None:
    """All draw the same for IKE_SA_INIT, so that SK_d differs by what follows it alone."""
    found = set()
    for net in (Network(), Network(plan_of=once), Network(plan_of=thrice)):
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
        net = Network(plan_of=once)
        net.thinking = lambda site, job: seconds
        net.script = disturb(line)
        connected(net)
    assert len(net.computed) == 3, "the KEM's two steps at a, its one at b"
    assert not net.a.errors() + net.b.errors()
    assert established(net, "a") == established(net, "b") == 1
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_response_lost_again_and_again() -> None:
    net = Network(plan_of=once)
    net.script = lose("b -> a IKE_INTERMEDIATE response 1", times=3)
    connected(net)
    assert net.ladder.count("b -> a IKE_INTERMEDIATE response 1") == 4


def test_silence() -> None:
    """The log names the exchange that was not answered, and the initiator gives up."""
    net = Network(plan_of=once)
    net.script = lose("b -> a IKE_INTERMEDIATE response 1", times=100)
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(300)
    assert not net.a.outcomes[7].ok
    assert any("answered IKE_SA_INIT but not IKE_INTERMEDIATE (" in text for text in net.a.errors())


def test_auth_covers_it() -> None:
    """The ends differ in what they have seen of it: AUTH does not verify (RFC 9242 3.3.2)."""
    theirs, ours = SecondKeyExchange(KEM.id, b"one"), SecondKeyExchange(KEM.id, b"other")
    net = Network(plan_of=Differing((theirs,), (ours,)))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert not established(net, "a") + established(net, "b")
    assert any("authentication of the peer" in text for text in net.b.errors())


def test_auth_does_not_come_before_its_turn() -> None:
    """The responder's plan permits its next exchange alone; what comes instead is dropped."""
    net = Network(plan_of=Differing((SecondKeyExchange(KEM.id),), ()))
    net.command("a", Initiate("ab", "net"))
    net.run(20)
    assert net.ladder.count("a -> b IKE_AUTH request 1") > 1
    assert not [line for line in net.ladder if line.startswith("b -> a IKE_AUTH")]


def test_exchange_that_is_not_planned() -> None:
    """It is dropped, as any other before IKE_AUTH."""
    net = Network(plan_of=Differing((), (SecondKeyExchange(KEM.id),)))
    net.command("a", Initiate("ab", "net"))
    net.run(20)
    assert net.ladder.count("a -> b IKE_INTERMEDIATE request 1 1/2") > 1
    assert not [line for line in net.ladder if line.startswith("b -> a IKE_INTERMEDIATE")]


@dataclass(slots=True)
class Refusing(SecondKeyExchange):
    """A responder that refuses what it is asked."""

    def respond(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "not with us")


def test_refused() -> None:
    """An error ends the set-up at both ends (RFC 9242 3.4)."""
    net = Network(plan_of=lambda connection, chosen: (Refusing(KEM.id),))
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(1)
    assert not net.a.outcomes[7].ok
    assert not net.b.manager.list_sas(net.now)
    assert any("NO_PROPOSAL_CHOSEN" in text for text in net.a.errors())


def test_what_the_set_up_knew_is_gone() -> None:
    """Messages and nonces of IKE_SA_INIT, and the plan, go with the state that needs them."""
    net = Network(plan_of=once)
    net.command("a", Initiate("ab", "net"))
    connecting = ike_sa(net, "a")
    assert connecting.connecting.init.request
    net.run(1)
    for name in ("a", "b"):
        assert ike_sa(net, name).established
        with pytest.raises(LocalMisuse):
            assert ike_sa(net, name).connecting
