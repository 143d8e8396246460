"""REDIRECT as client and as gateway: in IKE_SA_INIT, in IKE_AUTH, in an established IKE_SA (RFC 5685).

Site b is two gateways, at ADDRESS_B and at OTHER.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, RedirectClients, Rekey, Shutdown, Terminate
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Address, Path
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId
from ikepy.wire.message import decode_message, encode_message
from ikepy.wire.payloads import DeletePayload, NotifyPayload, Payload
from ikepy.wire.redirect import decode_gateway, encode_gateway

from . import test_eap
from .network import ADDRESS_A, ADDRESS_B, Network, Options, Script, assert_joined
from .tampering import answer_otherwise
from .test_established import ike_sa

OTHER = IPv4Address("192.0.2.22")
NOBODY = IPv4Address("192.0.2.66")  # nobody answers there
BOTH = f'["{ADDRESS_B}", "{OTHER}"]'
CLIENT = Options(remote_addrs=f'{ADDRESS_B}", "{OTHER}')
FOLLOWS = Options(connection='redirect = "follow"')
SERVES = Options(local_addrs=BOTH)


def draining(gateway: object = OTHER) -> Options:
    """A gateway that sends everybody away as they begin."""
    return replace(SERVES, daemon=f'redirect_to = "{gateway}"')


def sending_on(gateway: object = OTHER) -> Options:
    """A gateway that sends its clients away once they are authenticated."""
    return replace(SERVES, connection=f'redirect_to = "{gateway}"')


def set_up(client: Options, gateway: Options, seconds: float = 2.0) -> Network:
    net = Network(client, gateway)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(seconds)
    return net


def assert_at(net: Network, address: Address) -> None:
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.path.remote.address == address
    assert_joined(net)


def notifies(data: bytes) -> list[NotifyPayload]:
    return [one for one in decode_message(data).payloads if isinstance(one, NotifyPayload)]


def recorded(seen: list[bytes], wanted: str = "") -> Script:
    """Everything arrives, and the messages whose line has `wanted` in it are kept."""

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if wanted in line:
            seen.append(data)
        return [0.01]

    return script


def log(net: Network, site: str = "a") -> str:
    return "\n".join(one.text for one in net.site(site).logs)


@pytest.mark.parametrize("client", [CLIENT, FOLLOWS])
def test_a_gateway_sends_everybody_away_as_they_begin(client: Options) -> None:
    net = set_up(client, draining())
    assert_at(net, OTHER)
    assert net.a.outcomes[1].ok, "the command that waits has what it wanted"
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 2
    assert net.b.manager.counters()["IKE_SA_INIT requests sent to another gateway"] == 1


def test_the_new_gateway_hears_who_sent_us() -> None:
    net = Network(CLIENT, draining())
    seen: list[bytes] = []
    net.script = recorded(seen, "INIT request")
    net.command("a", Initiate("ab", "net"))
    net.run()
    first, second = ([one.notify for one in notifies(data)] for data in seen)
    assert NotifyType.REDIRECT_SUPPORTED in first
    assert NotifyType.REDIRECTED_FROM not in first
    assert NotifyType.REDIRECTED_FROM in second
    (said,) = (one for one in notifies(seen[1]) if one.notify == NotifyType.REDIRECTED_FROM)
    assert decode_gateway(said.data) == (ADDRESS_B, b"")
    assert decode_message(seen[0]).header.spi_i != decode_message(seen[1]).header.spi_i


@pytest.mark.parametrize("policy", ["configured", "never"])
def test_who_does_not_follow_is_served(policy: str) -> None:
    net = set_up(Options(connection=f'redirect = "{policy}"'), draining())
    assert_at(net, ADDRESS_B)


def test_after_authentication() -> None:
    net = set_up(CLIENT, sending_on())
    assert_at(net, OTHER)
    assert net.a.outcomes[1].ok
    assert net.ladder == [
        "a -> b IKE_SA_INIT request 0",
        "b -> a IKE_SA_INIT response 0",
        "a -> b IKE_AUTH request 1",
        "b -> a IKE_AUTH response 1",
        "a -> b INFORMATIONAL request 2",  # the client deletes it
        "a -> b IKE_SA_INIT request 0",
        "b -> a INFORMATIONAL response 2",
        "b -> a IKE_SA_INIT response 0",
        "a -> b IKE_AUTH request 1",
        "b -> a IKE_AUTH response 1",
    ]
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_a_client_that_says_nothing_is_deleted() -> None:
    net = Network(CLIENT, sending_on())
    net.script = lambda line, nth, data: [] if line == "a -> b INFORMATIONAL request 2" else [0.01]
    net.command("a", Initiate("ab", "net"))
    net.run(300)
    assert_at(net, OTHER)
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_a_client_that_does_not_want_to_has_no_tunnel_and_says_why() -> None:
    net = Network(replace(CLIENT, connection='redirect = "follow"'), sending_on("127.0.0.1"))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run()
    assert not net.a.outcomes[1].ok
    assert "no address of a gateway" in net.a.outcomes[1].text


@pytest.mark.parametrize("after", ["set-up", "their rekey", "our rekey"])
def test_an_established_one_moves_without_a_gap(after: str) -> None:
    net = set_up(CLIENT, SERVES)
    if after != "set-up":
        net.command("b" if after == "our rekey" else "a", Rekey(ike="ab"))
        net.run()
    up = len(net.a.events)
    net.command("b", RedirectClients((ike_sa(net, "b").ike_id,), OTHER, ticket=9))
    net.run(30)
    assert net.b.outcomes[9].ok
    assert_at(net, OTHER)
    downs = [one for one in net.a.events[up:] if type(one).__name__ == "ChildDown"]
    ups = [one for one in net.a.events[up:] if type(one).__name__ == "ChildUp"]
    assert net.a.events.index(ups[0]) < net.a.events.index(downs[0])


def test_an_established_one_stays_if_nobody_is_there() -> None:
    net = set_up(FOLLOWS, SERVES)
    net.gone = {NOBODY}
    net.command("b", RedirectClients((ike_sa(net, "b").ike_id,), NOBODY))
    net.run(400)
    assert_at(net, ADDRESS_B)


def test_a_gateway_is_not_sent_away_by_its_client() -> None:
    net = set_up(CLIENT, SERVES)
    net.command("a", RedirectClients((ike_sa(net, "a").ike_id,), OTHER, ticket=9))
    assert not net.a.outcomes[9].ok
    assert "we began it" in net.a.outcomes[9].text


def test_a_client_that_does_not_follow_is_told_nothing() -> None:
    net = set_up(Options(), SERVES)
    net.ladder.clear()
    net.command("b", RedirectClients((ike_sa(net, "b").ike_id,), OTHER, ticket=9))
    net.run()
    assert not net.b.outcomes[9].ok
    assert not net.ladder


def test_a_redirect_in_an_established_one_that_the_policy_refuses_changes_nothing() -> None:
    net = set_up(CLIENT, SERVES)
    net.command("b", RedirectClients((ike_sa(net, "b").ike_id,), NOBODY))
    net.run()
    assert_at(net, ADDRESS_B)
    assert 'redirect = "follow" would' in log(net)


def test_where_nobody_answers_the_configured_gateway_is_tried_again() -> None:
    net = Network(FOLLOWS, draining(NOBODY))
    net.gone = {NOBODY}
    net.command("a", Initiate("ab", "net"))
    net.run(100)
    net.replace_config("b", SERVES)
    net.run(200)
    assert_at(net, ADDRESS_B)


def test_two_gateways_that_send_us_to_each_other_are_left_after_five_times() -> None:
    net = Network(CLIENT, SERVES)
    redirects: list[float] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        return [0.01] if line.startswith("a -> b") else []

    net.script = script
    net.command("a", Initiate("ab", "net", ticket=1))
    for _ in range(100):
        path = net.a.sent[-1]
        there = OTHER if path.remote.address == ADDRESS_B else ADDRESS_B
        before = len(net.a.sent)
        answer_with_redirect(net, there)
        if len(net.a.sent) > before:
            redirects.append(net.now)
    assert len(redirects) == 5
    assert "once too often" in log(net)
    net.script = lambda line, nth, data: [0.01]
    net.run(10)
    assert net.a.outcomes[1].ok, "the true answer counts"


def last_request(net: Network) -> bytes:
    (sa,) = net.a.manager.ike_sas
    return sa.connecting.init.request


def answer_with_redirect(net: Network, there: Address, nonce: bytes | None = None) -> None:
    """Somebody answers a's IKE_SA_INIT, which they saw."""
    request = decode_message(last_request(net))
    (sa,) = net.a.manager.ike_sas
    right = sa.connecting.init.nonce_i
    data = encode_gateway(there, right if nonce is None else nonce)
    header = replace(request.header, spi_r=bytes(8), flags=0x20)
    net.inject("a", net.a.sent[-1], encode_message(header, [NotifyPayload(NotifyType.REDIRECT, data)]))


def test_a_name_is_looked_up() -> None:
    net = Network(FOLLOWS, draining("gw2.example.org"))
    net.a.dns["gw2.example.org"] = [OTHER]
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(0.015)
    net.replace_config("b", SERVES)  # the one at OTHER sends nobody away
    net.run(1)
    assert net.a.outcomes[1].ok
    assert_at(net, OTHER)


def test_a_name_that_means_nothing_leads_back() -> None:
    net = Network(FOLLOWS, draining("gw2.example.org"))
    net.command("a", Initiate("ab", "net"))
    net.run(0.5)
    assert "can't go to gw2.example.org" in log(net)
    net.replace_config("b", SERVES)
    net.run(30)
    assert_at(net, ADDRESS_B)


def test_what_nobody_wants_any_more_is_not_followed() -> None:
    net = Network(CLIENT, sending_on())
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(0.015)
    net.command("a", Terminate(ike="ab", ticket=2))
    net.run(30)
    assert net.a.manager.idle
    assert not net.a.outcomes[1].ok


def test_shutdown_while_redirected() -> None:
    net = Network(CLIENT, draining())
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(0.025)
    net.command("a", Shutdown())
    net.run(10)
    assert net.a.manager.idle
    assert not net.a.outcomes[1].ok


def test_the_answer_is_not_larger_than_the_request() -> None:
    net = Network(CLIENT, draining())
    seen: list[bytes] = []
    net.script = recorded(seen)
    net.command("a", Initiate("ab", "net"))
    net.run(0.015)
    answers = net.inject("b", Path(net.a.sent[0].remote, net.a.sent[0].local), seen[0])
    (answer,) = (one for one in answers if isinstance(one, Send))
    assert len(answer.data) <= len(seen[0])
    assert answer.path.remote.address == ADDRESS_A


# -- before EAP (6) --------------------------------------------------------------------------------


def by_eap(remote_id: str = "%any") -> Network:
    user, gateway = test_eap.options("eap-mschapv2")
    sends = sending_on()
    gateway = replace(
        gateway, local_addrs=sends.local_addrs, connection=sends.connection, remote_id=remote_id
    )
    net = Network(replace(user, remote_addrs=CLIENT.remote_addrs), gateway)
    net.command("a", Initiate("ab", "net", ticket=1))
    return net


def test_before_eap_by_the_identity_that_is_claimed() -> None:
    net = by_eap()
    net.run(2)
    assert_at(net, OTHER)
    assert net.a.outcomes[1].ok
    assert net.ladder[:5] == [
        "a -> b IKE_SA_INIT request 0",
        "b -> a IKE_SA_INIT response 0",
        "a -> b IKE_AUTH request 1",
        "b -> a IKE_AUTH response 1",
        "a -> b IKE_SA_INIT request 0",
    ]
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 2
    assert "sent to 192.0.2.22 before EAP" in log(net, "b")
    net.run(15)
    assert len(net.b.manager.list_sas(net.now)) == 1, "there is none with the first gateway"
    assert not net.b.errors()


def test_a_client_that_deletes_what_is_none_yet() -> None:
    net = by_eap()
    net.script = lambda line, nth, data: [] if line == "b -> a IKE_AUTH response 1" else [0.01]
    net.run(0.05)
    (here,) = net.a.manager.ike_sas
    deleted = here.send_request(ExchangeType.INFORMATIONAL, [DeletePayload(ProtocolId.IKE, ())], net.now)
    net.run_effects("a", deleted)
    net.run(0.05)
    assert not net.b.manager.ike_sas
    assert not net.b.errors()


def test_an_identity_that_is_named_is_sent_away_after_eap() -> None:
    """Else anybody could find out which identities there are."""
    net = by_eap("gwa")
    net.run(2)
    assert_at(net, OTHER)
    assert "b -> a IKE_AUTH response 5" in net.ladder[: net.ladder.index("a -> b INFORMATIONAL request 6")]


def test_a_gateway_that_has_not_proven_itself_sends_nobody_away() -> None:
    user, gateway = test_eap.options("eap-mschapv2")
    sends = sending_on()
    gateway = replace(
        gateway,
        local_addrs=sends.local_addrs,
        connection=sends.connection,
        remote_id="%any",
        secret="another one",
    )
    net = Network(replace(user, remote_addrs=CLIENT.remote_addrs), gateway)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(2)
    assert not net.a.outcomes[1].ok
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 1


def test_a_redirect_in_the_midst_of_eap_is_not_followed() -> None:
    user, gateway = test_eap.options("eap-mschapv2")
    net = Network(replace(user, remote_addrs=CLIENT.remote_addrs), replace(gateway, local_addrs=BOTH))
    told: Payload = NotifyPayload(NotifyType.REDIRECT, encode_gateway(OTHER))
    answer_otherwise(
        net,
        "b -> a IKE_AUTH response 2",
        lambda: net.command("a", Initiate("ab", "net", ticket=1)),
        lambda payloads: [*payloads, told],
    )
    net.run(5)
    assert net.a.outcomes[1].ok
    assert_at(net, ADDRESS_B)
