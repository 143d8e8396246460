"""SAs that are replaced in time, and what happens when that fails (RFC 7296 2.8, 2.25)."""

from __future__ import annotations

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Send
from ikepy.sa.api.events import ChildDown, ChildRekeyed, Event, IkeRekeyed, IkeUp
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, PayloadType
from ikepy.wire.message import IkeHeader, decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload, SkPayload

from .network import ADDRESS_A, ADDRESS_B, Network, Options, assert_joined

LONG = Options(child="rekey_time = 0", connection="rekey_time = 0")
A_TO_B = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))


def established(a: Options, b: Options = LONG) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    net.ladder.clear()
    return net


def events(net: Network, topic: type[Event]) -> int:
    return sum(isinstance(event, topic) for event in net.a.events)


def test_a_child_is_rekeyed_by_time() -> None:
    net = established(Options(child="rekey_time = 60\nrand_time = 20", connection="rekey_time = 0"))
    net.run(35)
    assert not net.ladder
    net.run(26)
    assert net.ladder[:2] == ["a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA response 2"]
    net.run(10)
    assert_joined(net)
    assert events(net, ChildRekeyed) == 1


def test_rekeying_goes_on_for_ever_and_leaves_nothing_behind() -> None:
    net = established(
        Options(child="rekey_time = 20", connection="rekey_time = 70"),
        Options(child="rekey_time = 23", connection="rekey_time = 61"),
    )
    net.run(2000)
    net.run(20)
    assert len(net.a.manager.list_sas(net.now)) <= 2
    assert events(net, ChildRekeyed) > 50
    assert events(net, IkeRekeyed) > 20
    assert not [e for s in (net.a, net.b) for e in s.events if isinstance(e, IkeUp)][2:]


def test_a_child_is_rekeyed_by_bytes() -> None:
    net = established(Options(child="rekey_bytes = 1000\nrand_bytes = 0\nlife_bytes = 2000"))
    (child_id,) = net.a.plane.inbound
    net.run_effects("a", net.a.manager.usage(child_id, 999, 5, net.now))
    net.run(1)
    assert not net.ladder
    net.run_effects("a", net.a.manager.usage(child_id, 1000, 5, net.now))
    net.run(10)
    assert_joined(net)
    (fresh,) = net.a.plane.inbound
    assert fresh != child_id
    net.run_effects("a", net.a.manager.usage(fresh, 3000, 5, net.now))  # past both limits since the last look
    net.run(10)
    assert_joined(net)
    (last,) = net.a.plane.inbound
    assert last != fresh, "replaced, not cut off"


def test_a_child_goes_at_its_limit() -> None:
    net = established(Options(child="life_bytes = 2000"))
    (child_id,) = net.a.plane.inbound
    net.run_effects("a", net.a.manager.usage(child_id, 2000, 5, net.now))
    net.run(1)
    assert not net.a.plane.inbound
    assert not net.b.plane.inbound


def test_packets_count_too() -> None:
    net = established(Options(child="rekey_packets = 100\nrand_packets = 0"))
    (child_id,) = net.a.plane.inbound
    net.run_effects("a", net.a.manager.usage(child_id, 1, 100, net.now))
    net.run(10)
    assert list(net.a.plane.inbound) != [child_id]
    assert_joined(net)


def test_the_ike_sa_is_rekeyed_by_time() -> None:
    net = established(Options(connection="rekey_time = 60\nrand_time = 0", child="rekey_time = 0"))
    net.run(70)
    assert events(net, IkeRekeyed) == 1
    assert events(net, ChildDown) == 0
    assert_joined(net)
    assert len(net.a.manager.list_sas(net.now)) == 1


def test_reauthentication_makes_before_it_breaks() -> None:
    net = established(Options(connection="reauth_time = 60\nrand_time = 0\nrekey_time = 0"))
    (old,) = net.a.manager.list_sas(net.now)
    net.run(58)
    down: list[int] = []

    def watch(line: str, nth: int, data: bytes) -> list[float]:
        down.append(len(net.a.plane.sending()))
        return [0.01]

    net.script = watch
    net.run(12)
    assert min(down) >= 1, "at no time was there no SA to send under"
    (new,) = net.a.manager.list_sas(net.now)
    assert new.spi_i != old.spi_i
    assert events(net, IkeUp) == 2
    assert_joined(net)


def test_a_reauthentication_that_fails_leaves_the_old_one() -> None:
    net = established(Options(connection="reauth_time = 60\nrand_time = 0\nrekey_time = 0"))
    net.script = lambda line, nth, data: [] if "IKE_SA_INIT" in line else [0.01]
    net.run(300)
    assert_joined(net)
    assert len(net.a.manager.list_sas(net.now)) <= 2


def test_a_refused_rekey_is_tried_again_and_the_mismatch_is_named() -> None:
    net = established(
        Options(child="rekey_time = 60\nrand_time = 0\nlife_time = 300"),
        Options(esp_proposals='["aes128gcm16-ecp256"]', child="rekey_time = 0"),
    )
    net.run(200)
    assert net.ladder.count("a -> b CREATE_CHILD_SA request 2") == 1
    assert sum("CREATE_CHILD_SA request" in line for line in net.ladder) >= 3
    assert any(
        "rekey of net #1 failed: NO_PROPOSAL_CHOSEN (a PFS mismatch" in text for text in net.a.errors()
    )
    assert_joined(net)
    net.run(200)
    assert not net.a.plane.inbound, "its life_time is over"
    assert not net.b.plane.inbound


def test_temporary_failure_is_waited_out() -> None:
    """b rekeys the IKE_SA when a asks for another child; a asks again."""
    two = Options(
        child="rekey_time = 0",
        more='[connections.ab.children.second]\nlocal_ts = ["10.0.0.0/8"]\nremote_ts = ["10.0.0.0/8"]\n'
        'esp_proposals = ["aes128gcm16"]',
    )
    net = established(two, two)
    net.script = lambda line, nth, data: (
        [1.0] if line.startswith("b -> a CREATE_CHILD_SA request") else [0.01]
    )
    net.command("b", Rekey(ike="ab"))
    net.command("a", Initiate("ab", "second", ticket=2))
    net.run(30)
    assert net.a.outcomes[2].ok, net.a.outcomes[2].text
    assert any("the peer is busy" in log.text for log in net.a.logs)
    assert_joined(net, 2)


def test_an_unknown_ike_sa_is_told_but_not_too_often() -> None:
    net = established(LONG)
    header = IkeHeader(b"abcdefgh", b"ijklmnop", ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 5)
    junk = encode_message(header, [SkPayload(PayloadType.NOTIFY, bytes(32))])
    answers = [e for _ in range(100) for e in net.inject("b", A_TO_B, junk) if isinstance(e, Send)]
    assert 1 <= len(answers) <= 20
    message = decode_message(answers[0].data)
    assert message.header.is_response
    assert message.payloads == (NotifyPayload(NotifyType.INVALID_IKE_SPI),)
    assert len(answers[0].data) <= len(junk) + 8


def test_invalid_spi_is_believed_for_nothing_but_a_liveness_check() -> None:
    net = established(LONG)
    (snapshot,) = net.b.manager.list_sas(net.now)
    header = IkeHeader(
        snapshot.spi_i,
        snapshot.spi_r,
        ExchangeType.INFORMATIONAL,
        HeaderFlag.INITIATOR | HeaderFlag.RESPONSE,
        0,
    )
    forged = encode_message(header, [NotifyPayload(NotifyType.INVALID_IKE_SPI)])
    for _ in range(50):
        net.inject("b", A_TO_B, forged)
    net.run(5)
    assert net.ladder == ["b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0"]
    assert_joined(net)


def test_esp_without_an_sa_is_told_to_a_peer_that_we_know() -> None:
    net = established(LONG)
    for spi in range(0x1000, 0x1010):
        net.run_effects("b", net.b.manager.unknown_spi(spi, A_TO_B, net.now))
    net.run(5)
    assert net.ladder == ["b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0"]
    stranger = Path(A_TO_B.local, Endpoint(ADDRESS_B, 500))
    assert not net.b.manager.unknown_spi(0x1000, stranger, net.now)


def test_rekey_commands() -> None:
    net = established(LONG)
    net.command("a", Rekey(child="net", ticket=2))
    net.run(1)
    net.command("b", Rekey(ike="ab", ticket=3))
    net.run(1)
    net.command("a", Rekey(ike="ab", reauth=True, ticket=4))
    net.run(10)
    net.command("a", Rekey(child="other", ticket=5))
    assert (net.a.outcomes[2].ok, net.b.outcomes[3].ok, net.a.outcomes[4].ok) == (True, True, True)
    assert not net.a.outcomes[5].ok
    assert_joined(net)
    assert len(net.a.manager.list_sas(net.now)) == 1
    assert events(net, ChildRekeyed) == 1


def test_two_rekeys_of_one_child_in_a_row_have_two_outcomes() -> None:
    """The second one finds the child replaced: there is nothing left to do."""
    net = established(LONG)
    (child,) = net.a.plane.inbound
    for ticket in (2, 3):
        net.command("a", Rekey(child_id=child, ticket=ticket))
    net.run(10)
    assert net.a.outcomes[2].ok
    assert not net.a.outcomes[3].ok
    assert_joined(net)
