"""What is resumed is not proven again: certificates, users, grants, and how long they hold (RFC 5723 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.config.model import AuthRemote, Identity
from ikepy.eap.granted import Granted
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.path import Endpoint
from ikepy.sa.auth.credentials import Doubt, Presented, Trusted, Verdict, no_doubt
from tests.pki import chain

from . import test_auth_lifetime, test_eap, test_virtual_addresses
from .credentials import Memory
from .network import Network, Options, assert_joined
from .test_crash_detection import SECRET
from .test_established import ike_sa
from .test_pubkey import A, B, memories
from .test_resumption import IN_FULL, KEY, QUICK, RESUMED, crash, is_resumed, reconfigured
from .test_takeover import take_over

EPOCH = 1_700_000_000.0
RESUMES = "resumption = true\ndpd_delay = 10"
CHILD = 'dpd_action = "start"'


def resuming(options: Options) -> Options:
    connection = f"{RESUMES}\n{options.connection}"
    return replace(options, connection=connection, child=CHILD, daemon=QUICK)


def up(net: Network, epoch: float = EPOCH) -> Network:
    net.b.restart_keys.tickets = (KEY,)
    net.b.restart_keys.crash = (SECRET,)
    net.a.restart_keys.epoch = net.b.restart_keys.epoch = epoch - net.now
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    return net


def by_certificates(epoch: float = EPOCH) -> tuple[Network, tuple[Memory, Memory]]:
    ours = memories(chain())
    return up(Network(resuming(A), resuming(B), credentials=ours), epoch), ours


def test_certificates_are_not_shown_again() -> None:
    net, ours = by_certificates()
    shown = [len(one.shown) for one in ours]
    computed = len(net.computed)
    for _ in range(3):
        assert crash(net) == RESUMED
        assert_joined(net)
        assert is_resumed(net, "a")
        assert is_resumed(net, "b")
    assert [len(one.shown) for one in ours] == shown
    assert len(net.computed) == computed, "no signature is made, none is verified"
    assert str(ike_sa(net, "b").remote_id) == "moon.example.org"


def test_a_ca_that_is_not_accepted_any_more() -> None:
    net, ours = by_certificates()
    other = chain("ecdsa", "other").root.der

    def change() -> None:
        ours[1].cas_known = (other,)

    assert crash(net, change)[:4] == IN_FULL[:4]
    assert not net.b.plane.inbound, "and the full set-up is refused, too"


def test_a_peer_that_is_to_prove_itself_otherwise_now() -> None:
    net, _ = by_certificates()
    by_secret = resuming(replace(B, remote='auth = "psk"'))
    assert crash(net, reconfigured(net, by_secret))[:4] == IN_FULL[:4]
    assert not net.b.plane.inbound


class Knows(Memory):
    """What it says of revocation is true until `until`, Unix time."""

    until = EPOCH + 100

    def verify(
        self, auth: AuthRemote, identity: Identity, presented: Presented, doubt: Doubt = no_doubt
    ) -> Callable[[], Verdict]:
        job = super().verify(auth, identity, presented, doubt)

        def bounded() -> Verdict:
            verdict = job()
            return replace(verdict, until=self.until) if isinstance(verdict, Trusted) else verdict

        return bounded


def test_a_takeover_and_a_rekey_keep_the_limit() -> None:
    """What another process goes on with is resumed within the same limits (RFC 5723 6.2)."""
    pki = chain()
    ours = Knows(pki.moon, (pki.root.der,)), Knows(pki.sun, (pki.root.der,))
    net = up(Network(resuming(A), resuming(B), credentials=ours))
    for who in "ab":
        take_over(net, who)
        assert ike_sa(net, who).proven_until == Knows.until
    net.command("a", Rekey(ike="ab"))
    net.run(2)
    for who in "ab":
        assert ike_sa(net, who).proven_until == Knows.until
    assert crash(net) == RESUMED


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_ticket_holds_no_longer_than_what_proved_it(who: str) -> None:
    """The certificate expires, or the CRL is out of date: of the client, or of the gateway."""
    pki = chain()
    one, other = Memory(pki.moon, (pki.root.der,)), Memory(pki.sun, (pki.root.der,))
    if who == "a":
        one = Knows(pki.moon, (pki.root.der,))
    else:
        other = Knows(pki.sun, (pki.root.der,))
    net = up(Network(resuming(A), resuming(B), credentials=(one, other)))
    renew_at = ike_sa(net, "a").resumption.renew_at
    assert renew_at is not None
    assert 40 < renew_at - net.now < 50
    assert crash(net) == RESUMED
    assert ike_sa(net, who).proven_until == Knows.until, "the resumed one holds as long as the first one"
    assert_joined(net)
    net.run(75)
    assert crash(net)[0] == "a -> b IKE_SA_INIT request 0", "no ticket is worth anything any more"


def test_a_certificate_and_then_a_user() -> None:
    local2 = 'auth = "pubkey"\n[connections.ab.local2]\nauth = "psk"\nid = "user"'
    remote2 = local2.replace("local2", "remote2")
    net = up(
        Network(
            resuming(replace(A, local=local2)),
            resuming(replace(B, remote=remote2)),
            credentials=memories(chain()),
        )
    )
    assert crash(net) == RESUMED
    assert_joined(net)


def by_eap() -> Network:
    return up(Network(*map(resuming, test_eap.options("eap-mschapv2"))))


def test_a_user_is_not_asked_again() -> None:
    net = by_eap()
    for _ in range(2):
        assert crash(net) == RESUMED
        assert_joined(net)
        (sa,) = net.b.manager.list_sas(net.now)
        assert (sa.eap_id, sa.resumed) == ("alice@example.org", True)


@pytest.mark.parametrize("change", ["password", "gone"])
def test_a_user_whose_password_is_another_one_is_asked_again(change: str) -> None:
    net = by_eap()
    _, b = map(resuming, test_eap.options("eap-mschapv2", theirs="a new one"))
    if change == "gone":
        b = replace(b, more="")
    assert crash(net, reconfigured(net, b))[:4] == IN_FULL[:4]
    assert not net.b.plane.inbound


def with_aaa(seconds: float, granted: Granted) -> tuple[Network, test_auth_lifetime.Relay]:
    relay = test_auth_lifetime.Relay(seconds, granted)
    return up(Network(*map(resuming, test_auth_lifetime.ends()), relay=relay)), relay


GRANTED = Granted("al", (IPv4Address("10.3.0.9"),), (), None, (b"class", b"\0\xff"), 60.0)


def test_what_an_aaa_server_granted_goes_on() -> None:
    net, relay = with_aaa(3000, GRANTED)
    assert crash(net) == RESUMED
    (sa,) = net.b.manager.list_sas(net.now)
    left = sa.granted.session_timeout
    assert left is not None
    assert 2970 < left < 2990, "of the same session"
    assert replace(sa.granted, session_timeout=None) == GRANTED
    assert sa.eap_id == "al"
    assert len(relay.asked) == 1
    until = ike_sa(net, "b").authenticated_until
    assert until is not None
    assert until - net.now == pytest.approx(left, abs=1)


def test_a_session_is_not_made_longer_by_resuming_it() -> None:
    net, relay = with_aaa(100, GRANTED)
    assert crash(net) == RESUMED
    net.run(90)
    assert net.b.manager.idle
    assert len(relay.asked) == 1


def test_too_much_for_a_ticket() -> None:
    net = Network(*map(resuming, test_auth_lifetime.ends()), relay=test_auth_lifetime.Relay(3000, HUGE))
    up(net)
    assert ike_sa(net, "a").resumption.renew_at is None
    assert "a -> b IKE_SA_INIT request 0" in crash(net)
    assert_joined(net)


HUGE = replace(GRANTED, classes=tuple(bytes([number]) * 253 for number in range(16)))


def test_the_same_virtual_address_also_from_another_place() -> None:
    """The gateway has the old IKE_SA still, from where the client was before (RFC 5723 5, note 5)."""
    client, gateway = map(resuming, (test_virtual_addresses.CLIENT, test_virtual_addresses.GATEWAY))
    net = up(Network(client, replace(gateway, child="")))
    (before,) = net.b.manager.list_sas(net.now)
    net.script = lambda line, nth, data: []
    net.run(30)
    net.nat_to_a = Endpoint(IPv4Address("203.0.113.7"), 40_000)
    net.script = lambda line, nth, data: [0.01]
    net.ladder.clear()
    net.run(300)
    assert "a -> b IKE_SESSION_RESUME request 0" in net.ladder
    (after,) = net.b.manager.list_sas(net.now)
    assert after.resumed
    assert str(after.path.remote.address) == "203.0.113.7"
    assert after.network.leases == before.network.leases != ()
    assert_joined(net)
