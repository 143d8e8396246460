"""What is to be up, and what users want, is not forgotten, whatever crosses it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, RedirectClients, Rekey, Terminate
from ikepy.sa.api.events import IkeUp
from ikepy.sa.tasks.delete import DeleteChild

from .network import ADDRESS_B, DELAY, Network, Options, deliver_all
from .reconfigured import with_other
from .test_established import ike_sa
from .test_redirect import FOLLOWS, NOBODY, SERVES, draining, sending_on
from .two_children import SEEDS, options

STAYS = "rekey_time = 0"
STARTS = f'start_action = "start"\n{STAYS}'
UP = Options(connection=STAYS, child=STARTS)
WAITS = Options(connection=STAYS, child=STAYS)
REAUTHENTICATES = f"reauth_time = 600\nrand_time = 0\n{STAYS}"
PEER = options(child=STAYS, connection=STAYS)


def started(a: Options, b: Options = WAITS) -> Network:
    net = Network(a, b)
    net.start()
    net.run(2)
    net.ladder.clear()
    return net


def children(net: Network, name: str = "a") -> list[str]:
    sas = net.site(name).manager.ike_sas
    return sorted(child.config.name for sa in sas for child in sa.children.values() if child.stays)


# -- reauthentication ------------------------------------------------------------------------------


def test_a_reauthentication_that_is_sent_where_nobody_is_is_due_again() -> None:
    server = replace(SERVES, connection=STAYS, child=STAYS)
    client = replace(FOLLOWS, connection=f'redirect = "follow"\n{REAUTHENTICATES}', child=STARTS)
    net = started(client, server)
    net.gone = {NOBODY}
    net.replace_config("b", replace(draining(NOBODY), connection=STAYS, child=STAYS))
    net.run(700)
    net.replace_config("b", server)
    before = ike_sa(net, "a").established_at
    assert before is not None and before < 1100
    net.run(700)
    after = ike_sa(net, "a").established_at
    assert after is not None and after > before


def test_a_redirect_during_a_reauthentication_that_fails_is_followed_and_the_latter_due_again() -> None:
    client = replace(FOLLOWS, connection=f'redirect = "follow"\n{REAUTHENTICATES}', child=STARTS)
    net = started(client, replace(SERVES, connection=STAYS, child=STAYS))
    net.gone = {NOBODY}
    net.script = lambda line, nth, data: [] if "IKE_SA_INIT" in line else [DELAY]
    net.run(603)
    net.command("b", RedirectClients((ike_sa(net, "b").ike_id,), NOBODY))
    net.run(200)
    net.script = deliver_all
    net.run(600)
    assert ike_sa(net, "a").set_up.again


def test_a_terminated_ike_sa_hands_nothing_on_to_the_one_that_is_unique() -> None:
    unique = f'{STAYS}\nunique = "replace"'
    net = Network(options(connection=unique), options(child=STAYS, connection=unique))
    for name in ("net", "second"):
        net.command("a", Initiate("ab", name))
        net.run(1)
    net.script = lambda line, nth, data: [3.0] if "CREATE_CHILD_SA response" in line else [DELAY]
    net.command("a", Rekey(child="net"))
    net.run(0.5)
    net.command("a", Terminate(ike="ab"))
    net.run(0.1)
    net.command("a", Initiate("ab", "net", ticket=3))
    net.run(60)
    assert net.a.outcomes[3].ok and children(net) == ["net"]


@pytest.mark.parametrize("dpd", ["", "\ndpd_delay = 0"])
@pytest.mark.parametrize("meanwhile", ["it is rekeyed", "it is reconfigured", "its child is given up"])
def test_a_reauthentication_that_waits_for_a_name_is_due_again(meanwhile: str, dpd: str) -> None:
    named = Options(remote_addrs="gw.example.org", connection=f"{REAUTHENTICATES}{dpd}", child=STARTS)
    net = Network(named, replace(WAITS, connection=f"{STAYS}{dpd}"))
    net.a.dns["gw.example.org"] = [ADDRESS_B]
    net.start()
    net.run(2)
    net.a.silent = True
    net.run(600)
    assert len(net.a.look_ups) == 2 and ike_sa(net, "a").reauth_at is None
    if meanwhile == "it is rekeyed":
        net.command("b", Rekey(ike="ab"))
    elif meanwhile == "it is reconfigured":
        net.replace_config("a", replace(named, child=f'start_action = "trap"\n{STAYS}'))
    else:
        net.command("a", Terminate(child="net"))
    net.run(1)
    net.answer("a")
    net.a.silent = False
    net.run(1)
    net.command("a", Initiate("ab", "net"))
    net.run(500)
    assert ike_sa(net, "a").set_up.again


# -- children that are still to come up ------------------------------------------------------------


def test_a_child_that_is_refused_while_the_delete_of_its_ike_sa_waits() -> None:
    a = options(child=STARTS, second=STARTS, connection=STAYS)
    net = started(a, replace(PEER, more=""))
    sa, wait = ike_sa(net, "a"), net.a.manager.list_waits()[1]
    net.script = lambda line, nth, data: [2.0] if "CREATE_CHILD_SA response" in line else [DELAY]
    assert wait.until is not None
    net.run(wait.until - net.now + 0.5)
    sa.lifetime.expires_at = net.now + 0.2
    net.run(20)
    net.script = deliver_all
    net.replace_config("b", PEER)
    net.run(300)
    assert children(net) == ["net", "second"]


def bounced() -> Network:
    """A child that the peer deletes again and again: it is brought up in two minutes."""
    net = started(options(child=f'{STARTS}\nclose_action = "start"', connection=STAYS), PEER)
    for _ in range(6):
        net.run(max([at for at, _ in ike_sa(net, "a").desired.due], default=net.now) - net.now + 0.2)
        net.command("b", Terminate(child="net"))
        net.run(0.1)
    assert ike_sa(net, "a").desired.due[0][0] > net.now + 60
    return net


def test_a_child_that_is_brought_up_again_and_again_can_be_terminated() -> None:
    net = bounced()
    net.command("a", Terminate(child="net", ticket=7))
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    net.run(300)
    assert children(net) == []


def test_who_wants_it_up_does_not_wait_for_the_next_try() -> None:
    net = bounced()
    net.command("a", Initiate("ab", "net", ticket=8))
    net.run(1)
    assert net.a.outcomes[8].ok, net.a.outcomes[8].text
    assert children(net) == ["net"]


@pytest.mark.parametrize("after", [0.0, 0.5, 1.5, 2.5, 3.5, 4.5])
@pytest.mark.parametrize("child", ["net", "second"])
@pytest.mark.parametrize("again", [True, False])
def test_a_child_that_is_being_set_up_can_be_terminated(after: float, child: str, again: bool) -> None:
    """Wherever its set-up is; the other one comes up. Whoever wants it again gets it."""
    net = Network(options(child=STARTS, second=STARTS, connection=STAYS), PEER)
    net.script = lambda line, nth, data: [1.0]
    net.start()
    net.command("a", Initiate("ab", child, ticket=3))
    net.run(after)
    net.command("a", Terminate(ike="ab", child=child, ticket=7))
    if again:
        net.command("a", Initiate("ab", child, ticket=8))
    net.run(60)
    other = "second" if child == "net" else "net"
    assert children(net) == children(net, "b") == sorted([other, *([child] if again else [])])
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    assert 3 in net.a.outcomes and (not again or net.a.outcomes[8].ok)


@pytest.mark.parametrize("what", [Terminate(ike="ab", ticket=2), Terminate(child="net", ticket=2)])
def test_who_wants_up_what_is_about_to_be_deleted_gets_another_one(what: Terminate) -> None:
    net = started(UP)
    net.script = lambda line, nth, data: [3.0] if "CREATE_CHILD_SA response" in line else [DELAY]
    net.command("a", Rekey(child="net"))
    net.run(0.5)
    net.command("a", what)
    net.run(0.1)
    net.command("a", Initiate("ab", "net", ticket=3))
    net.run(30)
    assert net.a.outcomes[2].ok and net.a.outcomes[3].ok
    assert children(net) == ["net"]


def test_a_peer_that_deletes_at_once_what_we_ask_for_is_asked_ever_less() -> None:
    """Its DELETE overtakes the response that would show that the child is up."""
    a = options(child=STARTS, second=STARTS, connection=f"{STAYS}\nkeyingtries = 4")
    net = Network(a, PEER)
    net.script = lambda line, nth, data: [0.05 if "CREATE_CHILD_SA response" in line else 0.01]
    net.start()
    times = []
    while net.now < 1060:
        net.run(0.015)
        for sa in net.b.manager.ike_sas:
            for child in list(sa.children.values()):
                if child.config.name == "second" and child.in_use and not sa.tasks.all:
                    sa.enqueue(DeleteChild(child.child_id))
                    net.run_effects("b", net.b.manager.proceed(sa, net.now))
                    times.append(net.now)
    assert len(times) == 4


def under_way(child: str = STARTS, connection: str = STAYS) -> Network:
    """a's CREATE_CHILD_SA for `second` is not answered, and the user has given it up."""
    net = Network(options(child=STARTS, second=child, connection=connection), PEER)
    net.script = lambda line, nth, data: [1.0] if "CREATE_CHILD_SA response" in line else [DELAY]
    net.start()
    net.run(0.3)
    return net


def give_up(net: Network, child: str = "second") -> None:
    ticket = 100 + len(net.a.outcomes)
    net.command("a", Terminate(ike="ab", child=child, ticket=ticket))
    assert net.a.outcomes[ticket].ok, net.a.outcomes[ticket].text


@pytest.mark.parametrize(
    "end", ["it is silent", "it deletes the IKE_SA", "it is reauthenticated", "it is in time"]
)
def test_a_child_that_was_given_up_comes_up_on_no_other_ike_sa(end: str) -> None:
    child = f'{STARTS}\ndpd_action = "start"\nclose_action = "start"'
    net = under_way(child, f"{STAYS}\ndpd_delay = 10")
    give_up(net)
    if end == "it is silent":
        net.script = lambda line, nth, data: []
        net.run(400)
    elif end == "it deletes the IKE_SA":
        net.command("b", Terminate(ike="ab", force=True))
        net.run(60)
    elif end == "it is reauthenticated":
        net.command("a", Rekey(ike="ab", reauth=True))
    net.script = deliver_all
    net.run(300)
    assert "second" not in children(net)


@pytest.mark.parametrize("then", ["the peer is silent", "the other one is given up"])
def test_a_child_that_was_given_up_and_is_wanted_again_is_one_of_the_set_up(then: str) -> None:
    net = Network(options(child=STARTS, second=STARTS, connection=STAYS), PEER)
    net.script = lambda line, nth, data: [1.0]
    net.start()
    net.run(2.5)
    give_up(net, "net")
    net.command("a", Initiate("ab", "net", ticket=8))
    if then == "the peer is silent":
        net.script = lambda line, nth, data: []
        net.run(300)
        net.script = deliver_all
    else:
        give_up(net, "second")
    net.run(300)
    assert children(net) == (["net", "second"] if then == "the peer is silent" else ["net"])


def test_a_child_that_was_given_up_is_not_brought_up_again_if_its_delete_comes_first() -> None:
    net = under_way(f'{STARTS}\nclose_action = "start"')
    (sa,) = net.b.manager.ike_sas
    for child in list(sa.children.values()):
        if child.config.name == "second":
            sa.enqueue(DeleteChild(child.child_id))
    net.run_effects("b", net.b.manager.proceed(sa, net.now))
    net.run(0.1)
    give_up(net)
    net.run(100)
    assert children(net) == ["net"]


def test_a_child_that_was_given_up_does_not_go_along_to_another_gateway() -> None:
    two = options(child=STARTS, second=STARTS)
    client = replace(
        FOLLOWS, **{name: getattr(two, name) for name in ("local_ts", "remote_ts", "child", "more")}
    )
    server = sending_on()
    mirrored = {name: getattr(PEER, name) for name in ("local_ts", "remote_ts", "child", "more")}
    net = Network(client, replace(server, **mirrored))
    net.script = lambda line, nth, data: [1.0]
    net.start()
    net.run(2.5)
    give_up(net, "net")
    net.run(60)
    assert children(net) == ["second"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_child_that_was_given_up_is_down_whichever_end_made_it(seed: str) -> None:
    """Both ends ask for it at once."""
    net = Network(options(child=STARTS, connection=STAYS), PEER, seed=seed)
    net.start()
    net.run(1)
    net.script = lambda line, nth, data: [0.5]
    for name in "ab":
        net.command(name, Initiate("ab", "second"))
    net.run(0.2)
    give_up(net)
    net.run(60)
    assert children(net) == children(net, "b") == ["net"]


@pytest.mark.parametrize("child", [STAYS, STARTS])
def test_who_wants_up_a_lost_child_that_is_about_to_be_deleted_gets_another_one(child: str) -> None:
    net = Network(options(child=child, connection=STAYS), PEER)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.script = lambda line, nth, data: [1.0] if "CREATE_CHILD_SA response" in line else [DELAY]
    net.command("a", ChildrenLost(tuple(ike_sa(net, "a").children)))
    net.run(0.2)
    net.command("a", Terminate(child="net", ticket=2))
    net.run(0.1)
    net.command("a", Initiate("ab", "net", ticket=3))
    net.run(60)
    assert net.a.outcomes[3].ok and children(net) == ["net"]


# -- several connections ---------------------------------------------------------------------------


@pytest.mark.parametrize("unique", ["replace", "keep"])
def test_two_connections_between_the_same_identities_stand_beside_each_other(unique: str) -> None:
    """What is unique is that of one connection."""
    base = Options(connection=f'{STAYS}\nunique = "{unique}"', child=STARTS)
    a = with_other("a", f'start_action = "start"\n{STAYS}', base=base)
    more = a.more.replace("[connections.other]", f'[connections.other]\nunique = "{unique}"')
    b = with_other("b", STAYS, base=WAITS)
    net = started(
        replace(a, more=more.replace("gwa2", "gwa").replace("gwb2", "gwb")),
        replace(b, more=b.more.replace("gwa2", "gwa").replace("gwb2", "gwb")),
    )
    net.run(300)
    assert len(net.a.manager.ike_sas) == 2
    assert sum(isinstance(event, IkeUp) for event in net.a.events) == 2
