"""What events tell hooks and metrics: chains of ups, rekeys and downs, and failures as values.

That every up has its rekeys and one down holds in every ladder and simulation (`tests.event_chains`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.ends import (
    AuthenticationFailure,
    AuthenticationFault,
    ChildRemoval,
    End,
    Party,
    ProposalMismatch,
    SelectorMismatch,
    Silence,
)
from ikepy.sa.api.events import (
    ChildDown,
    ChildRekeyed,
    ChildRekeyFailed,
    ChildSetUpFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeMoved,
    IkeRekeyed,
    IkeSetUpFailed,
    IkeUp,
    LocalAddressGone,
    MoveReason,
    RetransmissionsEnded,
    Retransmitted,
)
from ikepy.sa.state.event_text import text_of
from ikepy.wire.constants import ExchangeType, NotifyType

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, duplicate, lose
from .test_established import established, ike_sa
from .test_mobike import SECOND_A, has, set_up

E = TypeVar("E")

OTHER_SUITE = Options(proposals='["aes256gcm16-prfsha256-x25519"]')
OTHER_SECRET = Options(secret="another one")


def only(events: Sequence[Event], kind: type[E]) -> E:
    (found,) = (event for event in events if isinstance(event, kind))
    return found


def refused(a: Options, b: Options) -> tuple[IkeSetUpFailed, IkeSetUpFailed]:
    """What both ends tell of a set-up that fails."""
    net = Network(a, b)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    return only(net.a.events, IkeSetUpFailed), only(net.b.events, IkeSetUpFailed)


def cause(failed: IkeSetUpFailed | ChildSetUpFailed | ChildRekeyFailed) -> object:
    assert failed.failure is not None
    return failed.failure.cause


def test_a_life() -> None:
    net = established()
    net.command("a", Rekey(child="net"))
    net.run(10)
    net.command("b", Rekey(ike="ab"))
    net.run(10)
    net.command("a", Terminate(ike="ab"))
    net.run(1)
    kinds: list[type[Event]] = [IkeUp, ChildUp, ChildRekeyed, IkeRekeyed, IkeDown, ChildDown]
    for site in (net.a, net.b):
        assert [type(event) for event in site.events] == kinds
        up, rekeyed, down = site.events[0], site.events[3], site.events[4]
        assert isinstance(up, IkeUp) and isinstance(rekeyed, IkeRekeyed) and isinstance(down, IkeDown)
        assert (rekeyed.old.ike_id, rekeyed.new.ike_id) == (up.sa.ike_id, down.sa.ike_id)
        assert only(site.events, ChildDown).reason is ChildRemoval.WITH_IKE_SA
        assert down.failure is None
    assert only(net.a.events, IkeDown).end is End.DELETED
    assert only(net.b.events, IkeDown).end is End.DELETED_BY_PEER


def test_of_rekeys_that_cross_one_goes_on_with_the_chain() -> None:
    net = established()
    net.command("a", Rekey(ike="ab"))
    net.command("b", Rekey(ike="ab"))
    net.run(100)
    for site in (net.a, net.b):
        assert site.chains.ike_sas == {sa.ike_id: 1 for sa in site.manager.ike_sas}
        only(site.events, IkeRekeyed)


def test_one_line_an_event() -> None:
    net = established()
    net.command("a", Terminate(ike="ab"))
    net.run(1)
    lines = [log.text for log in net.a.logs]
    assert all(lines.count(text_of(event)) == 1 for event in net.a.events)


def test_proposals_that_do_not_fit() -> None:
    ours, theirs = refused(Options(), OTHER_SUITE)
    a, b = Options().config("a").connections["ab"], OTHER_SUITE.config("b").connections["ab"]
    assert ours.failure is not None and ours.failure.by is Party.PEER
    assert ours.failure.notify == NotifyType.NO_PROPOSAL_CHOSEN
    mismatch = cause(ours)
    assert isinstance(mismatch, ProposalMismatch) and mismatch.theirs is None
    assert [one.transforms for one in mismatch.ours] == [one.transforms for one in a.proposals]
    assert theirs.sa is None and theirs.path.remote.address == ADDRESS_A
    assert theirs.failure is not None and theirs.failure.by is Party.US
    mismatch = cause(theirs)
    assert isinstance(mismatch, ProposalMismatch) and mismatch.theirs is not None
    assert mismatch.ours == b.proposals
    assert [one.transforms for one in mismatch.theirs] == [one.transforms for one in a.proposals]


def test_secrets_that_do_not_fit() -> None:
    ours, theirs = refused(Options(), OTHER_SECRET)
    a, b = Identity.parse("gwa"), Identity.parse("gwb")
    credential = "secret of [secrets.ike]"
    assert cause(ours) == AuthenticationFailure(AuthenticationFault.NOT_SAID, a, b, credential)
    reason = 'secret: the peer\'s is not the one of [secrets.ike], which fits FQDN "gwa" and our FQDN "gwb"'
    wrong = AuthenticationFailure(AuthenticationFault.WRONG_SECRET, b, a, reason=reason)
    assert cause(theirs) == wrong
    assert ours.failure is not None and theirs.failure is not None
    assert (ours.failure.by, theirs.failure.by) == (Party.PEER, Party.US)
    assert ours.failure.notify == theirs.failure.notify == NotifyType.AUTHENTICATION_FAILED


def test_a_peer_that_no_connection_is_for() -> None:
    _, theirs = refused(Options(), Options(remote_id="gwx"))
    found = cause(theirs)
    assert isinstance(found, AuthenticationFailure) and found.fault is AuthenticationFault.NO_CONNECTION
    assert found.remote_id == Identity.parse("gwa")


def test_selectors_that_do_not_fit() -> None:
    """The IKE_SA stands at both ends, without the child."""
    net = Network(Options(local_ts='["10.1.0.0/24"]'), Options(remote_ts='["10.9.0.0/24"]'))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    everything = (Selector.of("0.0.0.0/0"),)
    ours, theirs = only(net.a.events, ChildSetUpFailed), only(net.b.events, ChildSetUpFailed)
    assert ours.name == "net" and ours.failure.by is Party.PEER
    assert cause(ours) == SelectorMismatch((((Selector.of("10.1.0.0/24"),), everything),))
    assert theirs.failure.by is Party.US
    assert cause(theirs) == SelectorMismatch(
        ((everything, (Selector.of("10.9.0.0/24"),)),), (everything, (Selector.of("10.1.0.0/24"),))
    )
    assert only(net.a.events, IkeUp)


@pytest.mark.parametrize("asked", [False, True])
def test_an_ike_auth_that_ends_the_ike_sa_never_had_it_up(asked: bool) -> None:
    """`childless` of the two ends can't agree: the responder refuses, and tells of no IKE_SA that was up."""
    policies = ("never", "force") if asked else ("force", "allow")
    net = Network(*(Options(connection=f'childless = "{policy}"') for policy in policies))
    net.command("a", Initiate("ab", "net"))
    net.run(5)
    if asked:
        assert only(net.b.events, IkeSetUpFailed).end is End.REFUSED
        assert not [event for event in net.b.events if isinstance(event, IkeUp | IkeDown)]
    else:
        assert only(net.b.events, IkeUp)


def test_nobody_answers() -> None:
    net = Network()
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net"))
    net.run(1000)
    failed = only(net.a.events, IkeSetUpFailed)
    assert failed.end is End.TIMEOUT
    assert failed.failure is not None and failed.failure.by is Party.NOBODY
    silence = failed.failure.cause
    assert isinstance(silence, Silence) and silence.exchange is ExchangeType.IKE_SA_INIT
    tries = net.a.config.daemon.retransmit_tries
    told = [event for event in net.a.events if isinstance(event, Retransmitted)]
    assert [event.attempt for event in told] == list(range(1, tries + 1))


def test_a_request_that_is_answered_late() -> None:
    net = established()
    net.script = lose("a -> b CREATE_CHILD_SA request 2", times=2)
    net.command("a", Rekey(child="net"))
    net.run(60)
    ended = only(net.a.events, RetransmissionsEnded)
    assert (ended.message_id, ended.attempt) == (2, 2)
    assert sum(isinstance(event, Retransmitted) for event in net.a.events) == 2


def test_a_repeated_answer_tells_nothing_twice() -> None:
    net = established()
    before = len(net.a.events)
    net.script = duplicate("b -> a CREATE_CHILD_SA response 2")
    net.command("a", Rekey(child="net"))
    net.run(60)
    assert [type(event) for event in net.a.events[before:]] == [ChildRekeyed]


def test_a_rekey_that_is_refused() -> None:
    net = established(
        Options(esp_proposals='["aes128gcm16-x25519"]'), Options(esp_proposals='["aes128gcm16-ecp256"]')
    )
    net.command("a", Rekey(child="net", ticket=7))
    net.run(1)
    ours = only(net.a.events, ChildRekeyFailed)
    assert ours.failure.by is Party.PEER and ours.retry_in > 0
    assert isinstance(cause(ours), ProposalMismatch)
    assert ours.text == net.a.outcomes[7].text


def test_both_ends_move() -> None:
    net = set_up()
    old = ike_sa(net, "a").path
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(5)
    ours, theirs = only(net.a.events, IkeMoved), only(net.b.events, IkeMoved)
    assert (ours.old, ours.reason) == (old, MoveReason.OWN_ADDRESS_GONE)
    assert (ours.sa.path.local.address, theirs.sa.path.remote.address) == (SECOND_A, SECOND_A)
    assert theirs.reason is MoveReason.PEER_MOVED
    assert theirs.sa.path.local.address == ADDRESS_B


def test_an_address_that_is_gone_and_comes_back() -> None:
    net = set_up()
    has(net, "a", gone=[ADDRESS_A])
    net.gone.clear()
    has(net, "a", ADDRESS_A)
    net.run(5)
    told = [event for event in net.a.events if isinstance(event, LocalAddressGone)]
    assert [(event.address, event.back) for event in told] == [(ADDRESS_A, False), (ADDRESS_A, True)]


def test_a_reauthentication_ends_one_chain_and_begins_another() -> None:
    net = established()
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(30)
    for site in (net.a, net.b):
        ups = [event.sa.ike_id for event in site.events if isinstance(event, IkeUp)]
        assert ups == [1, 2]
        assert only(site.events, IkeDown).sa.ike_id == 1
        assert only(site.events, ChildDown).reason is not ChildRemoval.WITH_IKE_SA


def test_a_user_who_gives_a_set_up_up() -> None:
    net = Network()
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net"))
    net.run(DELAY)
    net.command("a", Terminate(ike="ab"))
    failed = only(net.a.events, IkeSetUpFailed)
    assert failed.failure is None and failed.end is End.DELETED


def test_an_ike_sa_that_no_event_tells_of_is_rekeyed_without_one() -> None:
    """As what crossing rekeys leave over, until it is clear which has the children: the log has its line."""
    net = established()
    ike_sa(net, "b").announced = False
    net.command("b", Rekey(ike="ab"))
    net.run(1)
    assert not [event for event in net.b.events if isinstance(event, IkeRekeyed)]
    assert [log for log in net.b.logs if log.text.startswith("IKE_SA rekeyed as #2")]
    assert only(net.a.events, IkeRekeyed).new.ike_id == 2
