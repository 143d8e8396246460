"""What an IKE_SA has of its set-up goes along to another machine: its user, what was granted, its tickets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikepy.crypto.secret import Secret
from ikepy.eap.granted import Granted
from ikepy.errors import RestoreRefusedError
from ikepy.sa.api.commands import Rekey
from ikepy.sa.api.events import IkeDown
from ikepy.sa.takeover import codec

from . import test_auth_lifetime, test_crash_detection, test_eap, test_resumption
from .network import Site, assert_joined
from .test_established import ike_sa
from .test_resumption import RESUMED, RESUMES, crash, is_resumed
from .test_takeover import KEY, exported, take_over


def test_the_user_stays() -> None:
    net = test_eap.connect(*test_eap.options("eap-mschapv2"))
    take_over(net, "b")
    net.command("b", Rekey(ike="ab", ticket=2))
    net.run(5)
    assert net.b.outcomes[2].ok
    (sa,) = net.b.manager.list_sas(net.now)
    assert sa.eap_id == "alice@example.org"


def test_what_was_granted_is_told_to_accounting() -> None:
    net, _ = test_auth_lifetime.connect(2000)
    granted = Granted(
        "alice", (ip_address("10.3.0.1"),), (ip_address("10.8.0.53"),), 2000.0, (b"class", b"\0\xff"), 60.0
    )
    ike_sa(net, "b").granted = granted
    take_over(net, "b")
    assert ike_sa(net, "b").granted == granted


@pytest.mark.parametrize("ahead", [0.0, 5000.0])
def test_a_session_ends_when_it_was_to_end(ahead: float) -> None:
    net, _ = test_auth_lifetime.connect(2000)
    ike_sa(net, "a").reauth_at = None
    net.run(1000)
    until = ike_sa(net, "b").authenticated_until
    assert until is not None
    if ahead:  # the other end's clock would jump as well
        net.a.manager = Site("a", net.a.config, "unused").manager
    take_over(net, "b", ahead=ahead)
    assert ike_sa(net, "b").authenticated_until == pytest.approx(until + ahead)
    net.run(until + ahead - net.now - 5)
    assert len(net.b.manager.list_sas(net.now)) == 1
    net.run(10)
    assert not [sa for sa in net.b.manager.list_sas(net.now) if sa.state == "ESTABLISHED"]


def test_the_peers_token_is_believed_still() -> None:
    net = test_crash_detection.established()
    take_over(net, "a")
    net.b.restart()
    test_crash_detection.asks(net)
    net.run(1)
    (ended,) = (event for event in net.a.events if isinstance(event, IkeDown))
    assert ended.end.name == "LOST_BY_PEER"
    assert_joined(net)


@pytest.mark.parametrize("who", ["a", "b", "ab"])
def test_it_is_resumed_by_the_ticket_of_before(who: str) -> None:
    net = test_resumption.established()
    for name in who:
        take_over(net, name)
    assert crash(net) == RESUMED
    assert_joined(net)
    assert is_resumed(net, "a")


def test_a_new_ticket_is_asked_for_in_its_time() -> None:
    net = test_resumption.established()
    renew_at = ike_sa(net, "a").resumption.renew_at
    assert renew_at is not None
    take_over(net, "a")
    assert ike_sa(net, "a").resumption.renew_at == pytest.approx(renew_at)
    ticket = exported(net, "a").resumption.ticket
    net.run(renew_at - net.now + 30)
    renewed = exported(net, "a").resumption.ticket
    assert ticket is not None
    assert renewed is not None
    assert ticket.data != renewed.data


def test_the_end_takes_tickets_back_that_the_former_machine_gave() -> None:
    """As does a rekey (RFC 5723 6.2)."""
    net = test_resumption.established()
    ((ticket_id, _),) = ike_sa(net, "b").resumption.granted
    take_over(net, "b")
    net.command("b", Rekey(ike="ab", ticket=3))
    net.run(10)
    assert net.b.outcomes[3].ok
    used = ike_sa(net, "b").registry.used_tickets
    assert used.refuses(ticket_id, 0.0)


def test_a_ticket_that_was_used_is_used_up_on_the_other_machine_too() -> None:
    net = test_resumption.established()
    crash(net)
    terms = ike_sa(net, "b").resumption.resumed
    assert terms is not None
    take_over(net, "b")
    after = ike_sa(net, "b")
    assert after.resumption.resumed == terms
    assert after.registry.used_tickets.refuses(terms.ticket_id, 0.0)


def test_a_ticket_that_fits_no_key_schedule_is_refused() -> None:
    net = test_resumption.established()
    value = exported(net, "a")
    ticket = value.resumption.ticket
    assert ticket is not None
    changed = replace(
        value, resumption=replace(value.resumption, ticket=replace(ticket, sk_d=Secret(b"short")))
    )
    site = Site("a", RESUMES.config("a"), "another process")
    with pytest.raises(RestoreRefusedError, match="ticket: SK_d"):
        site.manager.restore(changed, net.now)
    assert site.manager.idle


def test_the_tickets_key_is_in_no_text() -> None:
    net = test_resumption.established()
    value = exported(net, "a")
    assert value.resumption.ticket is not None
    key = value.resumption.ticket.sk_d.expose()
    assert key.hex() not in repr(value)
    assert key not in codec.seal(value, KEY, bytes)
