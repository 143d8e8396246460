"""A session that is granted for a time only ends then, unless the initiator authenticates anew (RFC 4478)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.eap.granted import NOTHING, Granted
from ikepy.eap.packet import Code, EapType, Packet
from ikepy.eap.turns import Accepted, Say, Turn
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.auth.relay import Relayed
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload

from .network import Network, Options, assert_joined
from .test_eap import options


class Relay:
    """An AAA server that takes everybody for some time, without a proof. `asked`: for whom."""

    def __init__(self, seconds: float, granted: Granted = NOTHING) -> None:
        self.granted = replace(granted, session_timeout=seconds)
        self.asked: list[tuple[str, str]] = []

    def begin(self, about: Relayed, user: str, identifier: int) -> Turn:
        self.asked.append((about.remote_id, user))
        challenge = Packet(Code.REQUEST, identifier, EapType.MD5, b"\x04abcd").encode()
        accepted = Accepted(
            Packet(Code.SUCCESS, identifier).encode(),
            user,
            EapType.MD5,
            None,
            self.granted,
        )
        return Say(challenge, lambda octets: accepted)


def ends() -> tuple[Options, Options]:
    """A user, and a gateway that asks an AAA server."""
    a, b = options("eap-md5")
    b = replace(
        b,
        remote='auth = "eap-radius"\neap_id = "%any"',
        more='[radius.servers.x]\naddress = "192.0.2.9"\nsecret = "not asked in this test"\n',
    )
    return a, b


def connect(seconds: float) -> tuple[Network, Relay]:
    relay = Relay(seconds)
    net = Network(*ends(), relay=relay)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    return net, relay


def test_initiator_authenticates_anew_in_time() -> None:
    net, relay = connect(2000)
    assert relay.asked == [("gwa", "alice@example.org")]
    net.run(1900)
    assert len(relay.asked) == 2
    assert_joined(net)


def test_responder_ends_what_nobody_renews() -> None:
    net, _ = connect(2000)
    (sa,) = net.a.manager.ike_sas
    sa.reauth_at = None
    net.run(1990)
    assert len(net.b.manager.list_sas(net.now)) == 1
    net.run(15)
    assert net.b.manager.idle
    assert any("has granted is over" in log.text for log in net.b.logs)


def test_the_time_goes_on_over_a_rekey() -> None:
    net, _ = connect(2000)
    net.command("a", Rekey(ike="ab", ticket=2))
    net.run(5)
    (sa,) = net.a.manager.ike_sas
    sa.reauth_at = None
    net.run(1995)
    assert net.b.manager.idle


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_however_little_is_granted_it_is_some_seconds(seconds: float) -> None:
    net, relay = connect(seconds)
    net.run(60)
    assert len(relay.asked) < 15


def test_a_short_session_is_not_told_but_ends() -> None:
    """charon would authenticate anew at once, for ever."""
    net, relay = connect(600)
    net.run(590)
    assert len(net.b.manager.list_sas(net.now)) == 1
    net.run(10)
    assert net.b.manager.idle
    assert len(relay.asked) == 1


def test_it_may_be_told_later_and_to_the_initiator_alone() -> None:
    """In an INFORMATIONAL exchange (RFC 4478 2)."""
    net, relay = connect(36000)
    (ours,), (theirs,) = net.a.manager.ike_sas, net.b.manager.ike_sas
    before = theirs.reauth_at
    told = NotifyPayload(NotifyType.AUTH_LIFETIME, (1000).to_bytes(4, "big"))
    for name, sa in (("b", theirs), ("a", ours)):
        sa.enqueue(SendNotify(told))
        net.run_effects(name, net.site(name).manager.proceed(sa, net.now))
        net.run(5)
    assert theirs.reauth_at == before
    net.run(1000)
    assert len(relay.asked) == 2
    assert_joined(net)
