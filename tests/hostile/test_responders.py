"""A peer with the right secret whose answers choose what was not offered: nothing of it is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.exchange.child_negotiation import ChildChoice
from ikepy.sa.state.task import Answer
from ikepy.sa.tasks import ike_rekey
from ikepy.wire.constants import KeGroup, PayloadType, TransformType
from ikepy.wire.payloads import KePayload, Payload, SaPayload, TrafficSelector, TsPayload
from ikepy.wire.proposal import Proposal, Transform
from tests.exchange.network import Network, Options, assert_joined

Twist = Callable[[Payload], Payload]

NARROW = Options(local_ts='["10.1.0.0/24"]', remote_ts='["10.1.0.0/24"]')
ALL = TrafficSelector(7, 0, 0, 65535, bytes(4), b"\xff" * 4)


def in_sa(change: Callable[[Proposal], tuple[Proposal, ...]]) -> Twist:
    def twist(payload: Payload) -> Payload:
        if not isinstance(payload, SaPayload):
            return payload
        return SaPayload(change(payload.proposals[0]))

    return twist


def longer_key(proposal: Proposal) -> tuple[Proposal, ...]:
    encr = proposal.transforms[0]
    assert encr.type == TransformType.ENCR
    return (replace(proposal, transforms=(replace(encr, key_length=256), *proposal.transforms[1:])),)


def with_another(proposal: Proposal) -> tuple[Proposal, ...]:
    extra = Transform(TransformType.KE, KeGroup.ECP_384)
    return (replace(proposal, transforms=(*proposal.transforms, extra)),)


def wider(type: PayloadType) -> Twist:
    return lambda payload: (
        TsPayload(type, (ALL,)) if isinstance(payload, TsPayload) and payload.type == type else payload
    )


CHILD_TWISTS: dict[str, Twist] = {
    "a longer key": in_sa(longer_key),
    "one more transform": in_sa(with_another),
    "two proposals": in_sa(lambda p: (p, p)),
    "another proposal number": in_sa(lambda p: (replace(p, number=p.number + 1),)),
    "an SPI of 3 bytes": in_sa(lambda p: (replace(p, spi=b"\1\2\3"),)),
    "a reserved SPI": in_sa(lambda p: (replace(p, spi=b"\0\0\0\xff"),)),
    "wider selectors of ours": wider(PayloadType.TS_I),
    "wider selectors of its own": wider(PayloadType.TS_R),
    "no selectors": lambda p: TsPayload(p.type, ()) if isinstance(p, TsPayload) else p,
}


def twisted_children(monkeypatch: pytest.MonkeyPatch, twist: Twist) -> None:
    """Whoever responds says so in the place of what it did."""
    honest = ChildChoice.payloads
    monkeypatch.setattr(ChildChoice, "payloads", lambda *args: [twist(p) for p in honest(*args)])


@pytest.mark.parametrize("name", CHILD_TWISTS)
def test_ike_auth(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    net = Network(NARROW)
    with monkeypatch.context() as patch:
        twisted_children(patch, CHILD_TWISTS[name])
        net.command("a", Initiate("ab", "net", ticket=1))
        net.run(5)
    assert not net.a.outcomes[1].ok
    assert_joined(net, 0)
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(130)
    assert net.a.outcomes[2].ok
    assert_joined(net)


@pytest.mark.parametrize("name", CHILD_TWISTS)
def test_create_child_sa(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The old child stays, as long as it may, and the next attempt comes through."""
    net = Network(NARROW)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    (old,) = net.a.plane.outbound
    with monkeypatch.context() as patch:
        twisted_children(patch, CHILD_TWISTS[name])
        net.command("a", Rekey(child="net", ticket=2))
        net.run(2)
    assert not net.a.outcomes[2].ok
    assert list(net.a.plane.outbound) == [old] or not net.a.plane.outbound
    net.run(200)
    assert_joined(net)


IKE_TWISTS: dict[str, Twist] = {
    "a longer key": in_sa(longer_key),
    "one more transform": in_sa(with_another),
    "two proposals": in_sa(lambda p: (p, p)),
    "an SPI of 4 bytes": in_sa(lambda p: (replace(p, spi=b"\1\2\3\4"),)),
    "an SPI of zero": in_sa(lambda p: (replace(p, spi=bytes(8)),)),
    "a public value of order 1": lambda p: KePayload(p.group, bytes(32)) if isinstance(p, KePayload) else p,
    "another group's public value": lambda p: KePayload(19, bytes(64)) if isinstance(p, KePayload) else p,
}


@pytest.mark.parametrize("name", IKE_TWISTS)
def test_ike_rekey(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No sane peer answers like this: the IKE_SA is given up, and can be set up anew."""
    net = Network(NARROW)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    honest = ike_rekey.respond

    def lie(*args: object) -> Answer:
        answer = honest(*args)  # type: ignore[arg-type]
        return replace(answer, payloads=[IKE_TWISTS[name](p) for p in answer.payloads])

    with monkeypatch.context() as patch:
        patch.setattr(ike_rekey, "respond", lie)
        net.command("a", Rekey(ike="ab", ticket=2))
        net.run(2)
    assert not net.a.outcomes[2].ok
    net.run(130)
    net.command("a", Initiate("ab", "net", ticket=3))
    net.run(5)
    assert net.a.outcomes[3].ok
    assert len(net.a.manager.ike_sas) == len(net.b.manager.ike_sas) == 1
    assert_joined(net)
