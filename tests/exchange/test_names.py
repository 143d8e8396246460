"""Peers by DNS name: looked up for each try of a set-up, several addresses tried in turn."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest

from esp.packet.selectors import Selector
from ikepy.sa.api.commands import Acquire, Initiate, LocalAddressesChanged, Rekey, Shutdown, Terminate
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.api.snapshot import ChildWait, Waiting
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network, Options

NAME = "vpn.example.com"
NOBODY = IPv4Address("192.0.2.66")  # nobody answers there
NAMED = Options(remote_addrs=NAME, child='start_action = "start"')
INIT = "a -> b IKE_SA_INIT request 0"


def named(options: Options = NAMED, *, addresses: list[Address] | None = None) -> Network:
    """Site a has the other one by name, site b has a by address."""
    net = Network(options, Options())
    net.a.dns[NAME] = [ADDRESS_B] if addresses is None else addresses
    return net


def wait_of(net: Network, site: str = "a") -> ChildWait:
    (wait,) = net.site(site).manager.list_waits()
    return wait


def remotes(net: Network) -> list[Address]:
    """Where a's set-ups went to, each once in a row."""
    found: list[Address] = []
    for path in net.a.sent:
        if not found or found[-1] != path.remote.address:
            found.append(path.remote.address)
    return found


def test_a_name_is_looked_up_and_then_gone_to() -> None:
    net = named()
    net.start()
    net.run()
    assert [[name.text for name in one.names] for one in net.a.look_ups] == [[NAME]]
    assert wait_of(net).waiting is Waiting.NOTHING
    assert remotes(net) == [ADDRESS_B]


def test_nothing_is_sent_before_the_answer_and_status_says_so() -> None:
    net = named()
    net.a.silent = True
    net.start()
    net.run(60)
    assert not net.ladder
    assert wait_of(net).waiting is Waiting.NAME
    net.answer("a")
    net.run()
    assert wait_of(net).waiting is Waiting.NOTHING


@pytest.mark.parametrize("why", ["no such name", "no name server answers"])
def test_a_failed_look_up_is_waited_after_with_its_reason_and_tried_again(why: str) -> None:
    net = named()
    net.a.dns[NAME] = why
    net.start()
    net.run(1)
    wait = wait_of(net)
    assert wait.waiting is Waiting.ADDRESS and wait.reason == f"{NAME}: {why}" and wait.failures == 1
    assert f"can't initiate: {NAME}: {why}" in net.a.errors()
    net.run(1000)
    assert 5 < len(net.a.look_ups) < 20, "with growing pauses"
    net.a.dns[NAME] = [ADDRESS_B]
    net.run(200)
    assert wait_of(net) == ChildWait("ab", "net", Waiting.NOTHING)


def test_addresses_are_tried_in_turn() -> None:
    """Also those of both kinds together: a name's and single ones."""
    other = IPv4Address("192.0.2.67")
    net = Network(Options(remote_addrs=f'{NAME}", "{ADDRESS_B}', child='start_action = "start"'), Options())
    net.a.dns[NAME] = [NOBODY, other]
    net.gone = {NOBODY, other}
    net.start()
    net.run(700)
    assert remotes(net)[:3] == [NOBODY, other, ADDRESS_B]
    assert wait_of(net).waiting is Waiting.NOTHING


def test_the_next_address_is_tried_soon_and_a_round_of_all_later_and_later() -> None:
    net = named(addresses=[NOBODY, ADDRESS_B])
    net.gone = {NOBODY, ADDRESS_B}
    net.start()
    net.run(165.5)  # the first one does not answer
    until = wait_of(net).until
    assert until is not None and until - net.now < 3
    net.run(2400)
    assert remotes(net)[:5] == [NOBODY, ADDRESS_B] * 2 + [NOBODY]


def test_the_first_address_is_the_first_again_after_a_success() -> None:
    net = named(addresses=[NOBODY, ADDRESS_B])
    net.gone = {NOBODY}
    net.start()
    net.run(400)
    assert wait_of(net).waiting is Waiting.NOTHING
    net.a.sent.clear()
    net.command("a", Terminate(ike="ab", force=True))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert remotes(net)[0] == NOBODY


def test_a_peer_that_falls_silent_is_sought_at_its_next_address() -> None:
    other = IPv4Address("192.0.2.67")
    options = Options(
        remote_addrs=NAME, connection="dpd_delay = 5", child='start_action = "start"\ndpd_action = "restart"'
    )
    net = Network(options, Options(local_addrs="%any"))
    net.a.dns[NAME] = [ADDRESS_B, other]
    net.start()
    net.run()
    net.a.sent.clear()
    net.gone = {ADDRESS_B}
    net.run(300)
    assert remotes(net)[:2] == [ADDRESS_B, other]
    assert wait_of(net).waiting is Waiting.NOTHING


def test_a_name_that_changes_moves_nothing_and_counts_at_the_next_set_up() -> None:
    net = named(Options(remote_addrs=NAME, child='start_action = "start"\ndpd_action = "restart"'))
    net.start()
    net.run()
    net.a.dns[NAME] = [NOBODY]
    net.a.learn()
    net.a.sent.clear()
    net.command("a", Rekey(ike="ab"))
    net.run()
    assert remotes(net) == [ADDRESS_B]
    net.command("a", Terminate(ike="ab", force=True))
    net.command("a", Initiate("ab", "net", 7))
    net.run(1)
    assert remotes(net) == [ADDRESS_B, NOBODY]


def test_reauthentication_looks_up_anew_and_keeps_the_old_until_the_new_is_up() -> None:
    net = named()
    net.start()
    net.run()
    net.a.silent = True
    net.command("a", Rekey(ike="ab", reauth=True))
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(5)
    assert len(net.a.look_ups) == 2, "one a connection at a time"
    assert len(net.a.manager.ike_sas) == 1 and len(net.a.plane.sending()) == 1
    net.a.silent = False
    net.answer("a")
    net.run(5)
    (sa,) = net.a.manager.ike_sas
    assert sa.ike_id == 2 and len(net.a.plane.sending()) == 1


def test_a_reauthentication_whose_look_up_fails_is_tried_again() -> None:
    net = named()
    net.start()
    net.run()
    net.a.dns[NAME] = "no such name"
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(5)
    assert [sa.ike_id for sa in net.a.manager.ike_sas] == [1], "the old one stays"
    net.a.dns[NAME] = [ADDRESS_B]
    net.run(130)
    assert [sa.ike_id for sa in net.a.manager.ike_sas] == [2]


def test_while_no_server_answers_the_last_addresses_are_used() -> None:
    net = named()
    net.start()
    net.run()
    net.a.dns[NAME] = "no name server answers"
    net.command("a", Terminate(ike="ab", force=True))
    net.command("a", Initiate("ab", "net", 7))
    net.run()
    assert net.a.outcomes[7].ok


def test_packets_ask_again_and_again_and_one_set_up_follows() -> None:
    net = named(Options(remote_addrs=NAME, child='start_action = "trap"'))
    net.a.learn()
    net.a.silent = True
    source, destination = (Selector.of(ip_network(one)) for one in ("10.1.0.1", "10.2.0.1"))
    for _ in range(20):
        net.command("a", Acquire("ab", source, destination))
        net.run(2)
    assert len(net.a.look_ups) == 1
    net.a.silent = False
    net.answer("a")
    net.run()
    assert net.ladder.count(INIT) == 1 and len(net.a.plane.sending()) == 1


# -- while a look-up is under way ------------------------------------------------------------------


def test_a_command_during_a_look_up_has_its_outcome() -> None:
    net = named()
    net.a.silent = True
    net.start()
    net.command("a", Initiate("ab", "net", 7))
    net.run(1)
    assert 7 not in net.a.outcomes
    net.answer("a")
    net.run()
    assert net.a.outcomes[7].ok and net.ladder.count(INIT) == 1


def test_a_child_terminated_during_a_look_up_stays_down() -> None:
    net = named()
    net.a.silent = True
    net.command("a", Initiate("ab", "net", 7))
    net.command("a", Terminate(ike="ab", ticket=8))
    net.answer("a")
    net.run(300)
    assert not net.ladder
    assert not net.a.outcomes[7].ok and "terminated" in net.a.outcomes[7].text
    assert net.a.outcomes[8].ok


def test_the_end_of_the_daemon_does_not_wait_for_a_look_up() -> None:
    net = named()
    net.a.silent = True
    net.command("a", Initiate("ab", "net", 7))
    net.command("a", Shutdown())
    assert net.a.manager.idle and not net.a.outcomes[7].ok
    net.answer("a")
    net.run(300)
    assert not net.ladder


def test_a_connection_reconfigured_during_a_look_up_is_set_up_as_it_is_now() -> None:
    net = named()
    net.a.silent = True
    net.start()
    net.replace_config("a", Options(child='start_action = "start"'))
    net.answer("a")
    net.run()
    assert wait_of(net).waiting is Waiting.NOTHING and net.ladder.count(INIT) == 1


def test_a_connection_removed_during_a_look_up_is_forgotten() -> None:
    other = Options(remote_addrs=NAME, child='start_action = "none"')
    net = named()
    net.a.silent = True
    net.command("a", Initiate("ab", "net", 7))
    net.replace_config("a", other)
    config = net.a.config.model_copy(update={"connections": {}})
    net.run_effects("a", net.a.manager.replace_config(config, net.now))
    net.answer("a", 0)
    net.run(300)
    assert not net.ladder and not net.a.outcomes[7].ok


def test_a_peer_that_set_up_meanwhile_is_not_set_up_twice() -> None:
    net = Network(NAMED, Options(child='start_action = "start"'))
    net.a.dns[NAME] = [ADDRESS_B]
    net.a.learn()
    net.a.silent = True
    net.start()
    net.run()
    assert len(net.a.manager.ike_sas) == 1
    net.answer("a", 0)
    net.run(20)
    assert len(net.a.manager.ike_sas) == len(net.b.manager.ike_sas) == 1
    assert INIT not in net.ladder


def test_a_change_of_our_addresses_lets_it_be_looked_up_again() -> None:
    net = named()
    net.a.dns[NAME] = "no name server answers"
    net.start()
    net.run(500)
    net.a.dns[NAME] = [ADDRESS_B]
    net.command("a", LocalAddressesChanged((ADDRESS_A,)))
    net.run(1)
    assert wait_of(net).waiting is Waiting.NOTHING


# -- the responder ---------------------------------------------------------------------------------

RESPONDER = Options(remote_addrs="branch.example.com")


def responder(known: list[Address] | str) -> Network:
    net = Network(Options(child='start_action = "start"'), RESPONDER)
    net.b.dns["branch.example.com"] = known
    return net


def test_a_peer_whose_name_is_known_is_served() -> None:
    net = responder([ADDRESS_A])
    net.b.learn()
    net.start()
    net.run()
    assert wait_of(net).waiting is Waiting.NOTHING and not net.b.look_ups


def test_a_request_from_an_unknown_place_has_names_looked_up_and_the_second_one_is_served() -> None:
    net = responder([ADDRESS_A])
    net.b.silent = True
    net.start()
    net.run(1)
    assert len(net.b.look_ups) == 1 and not net.b.sent, "no answer yet: the peer asks again"
    net.answer("b")
    net.run(10)
    assert wait_of(net).waiting is Waiting.NOTHING


def test_a_stranger_is_refused_once_the_names_are_known() -> None:
    net = responder([NOBODY])
    net.start()
    net.run(10)
    assert "NO_PROPOSAL_CHOSEN" in " ".join(log.text for log in net.a.logs)
    assert not net.b.manager.ike_sas


def test_strangers_have_names_looked_up_seldom() -> None:
    net = responder([NOBODY])
    requests: list[bytes] = []

    def kept(line: str, nth: int, data: bytes) -> list[float]:
        requests.append(data)
        return []

    net.script = kept
    net.start()
    for number in range(200):
        source = Endpoint(IPv4Address(int(NOBODY) + 1 + number % 100), 500)
        spi = (number + 1).to_bytes(8, "big")
        net.inject("b", Path(Endpoint(ADDRESS_B, 500), source), spi + requests[0][len(spi) :])
        net.run(0.1)
    assert 1 <= len(net.b.look_ups) <= 3, "within 20 seconds"


def test_the_children_of_a_named_peer_go_where_the_ike_sa_goes() -> None:
    net = named()
    net.start()
    net.run()
    assert [one.path.remote.address for one in net.a.plane.sending()] == [ADDRESS_B]
