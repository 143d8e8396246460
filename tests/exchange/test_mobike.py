"""Moving: addresses that go and come, return routability, NATs, and peers that lie (RFC 4555)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, LocalAddressesChanged, Rekey
from ikepy.sa.api.effects import Effect, Send
from ikepy.sa.api.events import ChildDown, IkeDown
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.message import fragments
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks.liveness import Liveness
from ikepy.sa.tasks.mobike import UpdateAddresses
from ikepy.sa.tasks.notify import SendNotify
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, PayloadType
from ikepy.wire.message import IkeHeader, decode_message, decode_payloads, protected_prefix
from ikepy.wire.payloads import NotifyPayload, Payload, SkPayload

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, assert_joined, lose
from .rekeying_peer import RekeyIke
from .test_established import do, established, ike_sa

SECOND_A, THIRD_A = IPv4Address("198.51.100.1"), IPv4Address("203.0.113.1")
SECOND_B = IPv4Address("198.51.100.2")

# The addresses of the configuration are those at the beginning.
ROAMING = Options(local_addrs="%any", connection="dpd_delay = 10")
FIXED = Options(remote_addrs="%any", local_addrs="%any")
UPDATE = ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]
CHECK = ["b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0"]


def has(net: Network, name: str, *addresses: Address, gone: Sequence[Address] = ()) -> None:
    """A site has these addresses from now on."""
    net.gone |= set(gone)
    net.command(name, LocalAddressesChanged(addresses))


def set_up(a: Options = ROAMING, b: Options = FIXED) -> Network:
    net = established(a, b)
    has(net, "a", ADDRESS_A)
    net.run(1)
    assert not net.ladder
    return net


def children_at(net: Network, name: str) -> Path | None:
    """Whither a site's only child sends now, None if it never moved."""
    (child_id,) = net.site(name).plane.outbound
    return next((m.path for m in reversed(net.site(name).moves) if m.child_id == child_id), None)


def path(local: Address, remote: Address, port: int = 4500) -> Path:
    return Path(Endpoint(local, port), Endpoint(remote, port))


def assert_on(net: Network, a: Address, b: Address) -> None:
    """Both ends, IKE and children, use these two addresses."""
    assert ike_sa(net, "a").path == path(a, b)
    assert ike_sa(net, "b").path == path(b, a)
    assert children_at(net, "a") == path(a, b)
    assert children_at(net, "b") == path(b, a)
    assert_joined(net)


def request(sa: IkeSa, *payloads: Payload, message_id: int) -> bytes:
    flags = HeaderFlag.INITIATOR if sa.initiator else HeaderFlag(0)
    header = IkeHeader(sa.spi_i, sa.spi_r, ExchangeType.INFORMATIONAL, flags, message_id)
    (data,) = fragments.seal(header, payloads, sa.keys.cipher_out, sa.registry.entropy.random, None)
    return data


def notifies(sa: IkeSa, effects: Sequence[Effect]) -> list[int]:
    """What the first message among `effects` holds, read with the keys of its receiver."""
    data = next(effect.data for effect in effects if isinstance(effect, Send))
    (sk,) = decode_message(data).payloads
    assert isinstance(sk, SkPayload)
    plaintext = sa.keys.cipher_in.open(data, len(data) - len(sk.body))
    return [p.notify for p in decode_payloads(sk.first, plaintext) if isinstance(p, NotifyPayload)]


# -- the initiator moves ---------------------------------------------------------------------------


def test_both_ends_agree_and_go_to_port_4500() -> None:
    net = established(ROAMING, FIXED)
    for name, initiator in (("a", True), ("b", False)):
        sa = ike_sa(net, name)
        assert sa.mobike is not None
        assert sa.mobike.initiator is initiator
        assert (sa.path.local.port, sa.path.remote.port) == (4500, 4500)
        assert not sa.encap, "there is no NAT"


@pytest.mark.parametrize("which", ["a", "b"])
def test_one_end_does_not_want_it(which: str) -> None:
    off = "mobike = false"
    a, b = (
        (replace(ROAMING, connection=off), FIXED)
        if which == "a"
        else (ROAMING, replace(FIXED, connection=off))
    )
    net = established(a, b)
    assert ike_sa(net, "a").mobike is None
    assert ike_sa(net, "b").mobike is None
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(1)
    assert not net.ladder


def test_the_initiator_gets_another_address() -> None:
    net = set_up()
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    # Its own children move at once; b's when b knows that a is there.
    assert children_at(net, "a") == path(SECOND_A, ADDRESS_B)
    net.run(0.015)
    assert ike_sa(net, "b").path == path(ADDRESS_B, SECOND_A)
    assert children_at(net, "b") is None
    net.run(1)
    assert sorted(net.ladder) == sorted(UPDATE + CHECK)
    assert_on(net, SECOND_A, ADDRESS_B)
    assert not [e for s in (net.a, net.b) for e in s.events if isinstance(e, (ChildDown, IkeDown))]


def test_it_comes_back() -> None:
    net = set_up()
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(1)
    net.gone.clear()
    has(net, "a", ADDRESS_A, gone=[SECOND_A])
    net.run(1)
    assert_on(net, ADDRESS_A, ADDRESS_B)


def test_an_uplink_goes_and_comes_back() -> None:
    """No address at all for a while, then the same: nothing is set up anew."""
    net = set_up()
    has(net, "a", gone=[ADDRESS_A])
    net.run(5)
    net.gone.clear()
    has(net, "a", ADDRESS_A)
    do(net, "a", Liveness())
    net.run(1)
    assert ike_sa(net, "a").established
    assert_joined(net)


def test_an_uplink_goes_and_another_comes_with_a_request_under_way() -> None:
    """What waits for its response is sent again at once, over the new path; traffic within 3 s."""
    net = set_up()
    has(net, "a", gone=[ADDRESS_A])
    do(net, "a", Liveness())
    net.run(8)
    has(net, "a", SECOND_A)
    net.run(1)
    assert_on(net, SECOND_A, ADDRESS_B)


@pytest.mark.parametrize("lost", UPDATE + CHECK)
def test_a_message_of_it_is_lost(lost: str) -> None:
    net = set_up()
    net.script = lose(lost)
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(12)
    assert_on(net, SECOND_A, ADDRESS_B)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.015, 0.025, 0.035, 0.045])
def test_it_moves_again_at_any_moment(after: float) -> None:
    net = set_up()
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(after)
    has(net, "a", THIRD_A, gone=[SECOND_A])
    net.run(15)
    assert_on(net, THIRD_A, ADDRESS_B)


def test_only_addresses_that_the_connection_permits() -> None:
    net = set_up(replace(ROAMING, local_addrs='["192.0.2.1", "203.0.113.0/24"]'))
    has(net, "a", SECOND_A, THIRD_A, gone=[ADDRESS_A])
    net.run(1)
    assert_on(net, THIRD_A, ADDRESS_B)


def test_it_goes_on_after_a_rekey_of_the_ike_sa() -> None:
    """Who may choose the path does not change with who rekeys (RFC 4555 2)."""
    net = set_up()
    do(net, "b", RekeyIke())
    net.run(2)
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(1)
    assert_on(net, SECOND_A, ADDRESS_B)


def test_a_child_that_is_made_while_the_new_address_is_not_checked_yet() -> None:
    """Nobody is flooded by way of a rekey: it sends where the others send (RFC 4555 3.7)."""
    net = set_up()
    net.script = lambda line, nth, data: [] if line in CHECK else [0.01]
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(0.1)
    b = ike_sa(net, "b")
    assert b.path == path(ADDRESS_B, SECOND_A)
    assert b.children_path == path(ADDRESS_B, ADDRESS_A)
    assert net.b.manager.peer_moved(next(iter(net.b.plane.outbound)), Endpoint(THIRD_A, 4500), net.now) == []


# -- the responder moves ---------------------------------------------------------------------------


def test_the_responder_gets_another_address() -> None:
    """It tells its addresses from where it is now, and the initiator follows."""
    net = set_up()
    has(net, "b", ADDRESS_B)
    has(net, "b", SECOND_B, gone=[ADDRESS_B])
    net.run(1)
    assert_on(net, ADDRESS_A, SECOND_B)


def test_the_responder_gets_one_more_address_then_loses_the_first() -> None:
    net = set_up()
    has(net, "b", ADDRESS_B, SECOND_B)
    net.run(1)
    a = ike_sa(net, "a")
    assert a.mobike is not None
    assert a.mobike.remote == (SECOND_B,)
    assert a.path == path(ADDRESS_A, ADDRESS_B)
    has(net, "b", SECOND_B, gone=[ADDRESS_B])
    net.run(1)
    assert not list(a.mobike.remote)
    assert_on(net, ADDRESS_A, SECOND_B)


def test_addresses_are_told_in_ike_auth() -> None:
    net = Network(ROAMING, FIXED)
    has(net, "a", ADDRESS_A, SECOND_A)
    has(net, "b", SECOND_B, ADDRESS_B)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    a, b = ike_sa(net, "a").mobike, ike_sa(net, "b").mobike
    assert a is not None
    assert b is not None
    assert (a.remote, b.remote) == ((SECOND_B,), (SECOND_A,))


def test_the_initiator_finds_another_way() -> None:
    """The path breaks without a word: liveness finds it, and the initiator tries the other addresses."""
    net = set_up()
    has(net, "b", ADDRESS_B, SECOND_B)
    net.run(1)
    net.gone = {ADDRESS_B}
    net.run(60)
    assert_on(net, ADDRESS_A, SECOND_B)


def test_the_initiator_finds_nothing() -> None:
    net = set_up()
    has(net, "b", ADDRESS_B, SECOND_B)
    net.run(1)
    net.gone = {ADDRESS_B, SECOND_B}
    net.run(300)
    assert net.a.manager.idle


def test_a_peer_that_refuses_one_path_after_the_other() -> None:
    """Each is asked for once; then the IKE_SA stays where it is."""
    net = set_up()
    has(net, "a", ADDRESS_A, SECOND_A, THIRD_A)
    net.run(1)
    net.ladder.clear()
    net.script = lambda line, nth, data: [] if line.startswith("a -> b INFORMATIONAL request") else [0.01]
    has(net, "a", SECOND_A, THIRD_A, gone=[ADDRESS_A])
    b = ike_sa(net, "b")
    asked: list[Path] = []
    for _ in range(4):
        a = ike_sa(net, "a")
        if not isinstance(a.tasks.current, UpdateAddresses):
            break
        asked.append(a.path)
        flags = HeaderFlag.RESPONSE
        header = IkeHeader(a.spi_i, a.spi_r, ExchangeType.INFORMATIONAL, flags, 3 + len(asked) - 1)
        seen = a.tasks.current.check.cookie
        refusal = [NotifyPayload(NotifyType.UNACCEPTABLE_ADDRESSES), NotifyPayload(NotifyType.COOKIE2, seen)]
        (data,) = fragments.seal(header, refusal, b.keys.cipher_out, b.registry.entropy.random, None)
        net.inject("a", a.path, data)
    assert asked == [path(SECOND_A, ADDRESS_B), path(THIRD_A, ADDRESS_B)]
    assert ike_sa(net, "a").established


# -- NATs ------------------------------------------------------------------------------------------


def test_the_initiator_moves_behind_a_nat() -> None:
    net = set_up()
    net.nat_to_a = Endpoint(SECOND_A, 40000)
    has(net, "a", ADDRESS_A, THIRD_A)
    has(net, "a", THIRD_A)
    net.run(1)
    a, b = ike_sa(net, "a"), ike_sa(net, "b")
    assert a.nat.local
    assert b.nat.remote
    assert a.encap
    assert b.encap
    assert b.path.remote == Endpoint(SECOND_A, 40001)
    assert net.a.moves[-1].encap
    assert net.b.moves[-1].encap
    assert net.b.moves[-1].path.remote == Endpoint(SECOND_A, 40001)


def test_a_nat_forgets_its_mapping() -> None:
    """The responder does not follow by itself (3.8); the initiator's liveness check shows it."""
    net = Network(replace(ROAMING, daemon="keep_alive = 0"), FIXED)
    net.nat_to_a = Endpoint(SECOND_A, 40000)
    net.command("a", Initiate("ab", "net"))
    net.run(15)
    b = ike_sa(net, "b")
    assert b.path.remote == Endpoint(SECOND_A, 40001)
    net.nat_to_a = Endpoint(SECOND_A, 50000)
    do(net, "a", SendNotify(NotifyPayload(40000)))
    net.run(1)
    assert b.path.remote == Endpoint(SECOND_A, 40001)
    net.run(15)
    assert b.path.remote == Endpoint(SECOND_A, 50001)
    assert net.b.moves[-1].path.remote == Endpoint(SECOND_A, 50001)


def test_a_packet_from_a_third_place_while_an_address_is_checked() -> None:
    """It may have left before a told where it is: the children wait for the check (RFC 4555 3.7).

    a -> b INFORMATIONAL request 3 (UPDATE_SA_ADDRESSES)    through another address of the NAT
    b -> a INFORMATIONAL response 3
    b -> a INFORMATIONAL request 0 (COOKIE2)                x
                                                            a's ESP from a third address
    b -> a INFORMATIONAL request 0
    a -> b INFORMATIONAL response 0
    """
    net = Network(replace(ROAMING, daemon="keep_alive = 0"), FIXED)
    net.nat_to_a = Endpoint(SECOND_A, 40000)
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    net.ladder.clear()
    net.nat_to_a = Endpoint(THIRD_A, 40000)
    net.script = lambda line, nth, data: [] if line == CHECK[0] and nth == 0 else [0.01]
    net.run(9)
    b = ike_sa(net, "b")
    assert (b.children_path.remote.address, b.path.remote.address) == (SECOND_A, THIRD_A)
    (child_id,) = net.b.plane.inbound
    assert net.b.manager.peer_moved(child_id, Endpoint(SECOND_B, 40001), net.now) == []
    assert (b.children_path.remote.address, b.path.remote.address) == (SECOND_A, THIRD_A)
    net.run(5)
    assert net.ladder[2:] == [
        "a -> b INFORMATIONAL request 3",
        "b -> a INFORMATIONAL response 3",
        CHECK[0],
        *CHECK,
    ]
    assert children_at(net, "b") == b.path


def test_a_nat_where_the_peer_forbids_one() -> None:
    net = set_up()
    a = ike_sa(net, "a")
    there = path(ADDRESS_B, SECOND_A)
    for number, written in ((2, ADDRESS_A), (3, SECOND_A)):
        data = written.packed + ADDRESS_B.packed + (4500).to_bytes(2, "big") * 2
        update = (
            NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES),
            NotifyPayload(NotifyType.NO_NATS_ALLOWED, data),
        )
        effects = net.inject("b", there, request(a, *update, message_id=number))
        refused = NotifyType.UNEXPECTED_NAT_DETECTED in notifies(a, effects)
        assert refused is (written == ADDRESS_A)
        assert ike_sa(net, "b").path.remote.address == (ADDRESS_A if refused else SECOND_A)


# -- peers that lie --------------------------------------------------------------------------------


def test_a_wrong_cookie2_ends_the_ike_sa() -> None:
    net = set_up()
    net.script = lambda line, nth, data: [] if line in CHECK[1:] else [0.01]
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(0.05)
    a = ike_sa(net, "a")
    header = IkeHeader(
        a.spi_i, a.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR | HeaderFlag.RESPONSE, 0
    )
    lie = [NotifyPayload(NotifyType.COOKIE2, bytes(16))]
    (data,) = fragments.seal(header, lie, a.keys.cipher_out, a.registry.entropy.random, None)
    net.inject("b", path(ADDRESS_B, SECOND_A), data)
    assert net.b.manager.idle
    assert not net.b.plane.outbound


def test_an_address_without_anybody_there() -> None:
    """The children stay where they were; the IKE_SA ends when nobody answers."""
    net = set_up(replace(ROAMING, connection=""))
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    net.gone = {SECOND_A}
    net.inject("b", path(ADDRESS_B, SECOND_A), request(ike_sa(net, "a"), update, message_id=2))
    net.run(30)
    assert children_at(net, "b") is None
    net.run(300)
    assert net.b.manager.idle
    assert not net.b.moves


@pytest.mark.parametrize("address", ["224.0.0.1", "0.0.0.0"])
def test_addresses_that_no_host_has(address: str) -> None:
    net = set_up()
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    there = path(ADDRESS_B, IPv4Address(address))
    effects = net.inject("b", there, request(ike_sa(net, "a"), update, message_id=2))
    assert notifies(ike_sa(net, "a"), effects) == [NotifyType.UNACCEPTABLE_ADDRESSES]
    assert ike_sa(net, "b").path == path(ADDRESS_B, ADDRESS_A)


def test_the_responder_may_not_choose_the_path() -> None:
    net = set_up()
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    effects = net.inject("a", path(ADDRESS_A, SECOND_B), request(ike_sa(net, "b"), update, message_id=0))
    assert notifies(ike_sa(net, "b"), effects) == [NotifyType.UNACCEPTABLE_ADDRESSES]
    assert ike_sa(net, "a").path == path(ADDRESS_A, ADDRESS_B)


def test_cookie2_and_nat_detection_are_answered_whatever_else_is_in_the_request() -> None:
    net = set_up()
    a = ike_sa(net, "a")
    asked = [
        NotifyPayload(NotifyType.COOKIE2, b"12345678"),
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
        NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, bytes(20)),
    ]
    effects = net.inject("b", path(ADDRESS_B, ADDRESS_A), request(a, *asked, message_id=2))
    assert sorted(notifies(a, effects)) == sorted(p.notify for p in asked)
    assert not ike_sa(net, "b").nat.found, "no other action is taken (RFC 4555 3.8)"


def test_many_addresses_are_not_all_remembered() -> None:
    net = set_up()
    many = [NotifyPayload(NotifyType.ADDITIONAL_IP4_ADDRESS, bytes([10, 0, n, 1])) for n in range(100)]
    net.inject("b", path(ADDRESS_B, ADDRESS_A), request(ike_sa(net, "a"), *many, message_id=2))
    b = ike_sa(net, "b")
    assert b.mobike is not None
    assert len(b.mobike.remote) == 16


@pytest.mark.parametrize("size", [0, 1, 3, 5, 16])
def test_an_address_of_another_size(size: int) -> None:
    net = set_up()
    header_to_b = path(ADDRESS_B, ADDRESS_A)
    a = ike_sa(net, "a")
    good = bytearray(b"\x00\x00" + (8 + size).to_bytes(2, "big") + b"\x00\x00\x40\x0d" + bytes(size))
    header = IkeHeader(a.spi_i, a.spi_r, ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 2)
    cipher = a.keys.cipher_out
    prefix = protected_prefix(header, PayloadType.NOTIFY, cipher.body_length(len(good)))
    effects = net.inject("b", header_to_b, cipher.seal(prefix, bytes(good), a.registry.entropy.random))
    assert notifies(a, effects) == [NotifyType.INVALID_SYNTAX]


def test_a_packet_that_just_comes_from_elsewhere_moves_nothing() -> None:
    net = set_up()
    a = ike_sa(net, "a")
    net.inject("b", path(ADDRESS_B, SECOND_A), request(a, message_id=2))
    assert ike_sa(net, "b").path == path(ADDRESS_B, ADDRESS_A)


def test_an_update_that_a_later_one_has_overtaken_changes_nothing() -> None:
    """With a window of several requests they come in any order (RFC 4555 3.5)."""
    net = set_up(b=replace(FIXED, daemon="window_size = 4"))
    a, b = ike_sa(net, "a"), ike_sa(net, "b")
    update = NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES)
    former = NotifyPayload(NotifyType.ADDITIONAL_IP4_ADDRESS, ADDRESS_A.packed)
    net.inject("b", path(ADDRESS_B, THIRD_A), request(a, update, message_id=3))
    effects = net.inject("b", path(ADDRESS_B, SECOND_A), request(a, update, former, message_id=2))
    assert any(isinstance(effect, Send) for effect in effects), "it is answered as any other"
    assert b.path == path(ADDRESS_B, THIRD_A)
    assert b.mobike is not None and not b.mobike.remote
    net.inject("b", path(ADDRESS_B, SECOND_A), request(a, update, message_id=4))
    assert b.path == path(ADDRESS_B, SECOND_A)


def test_an_address_that_comes_while_a_rekeyed_ike_sa_still_stands_is_announced() -> None:
    """Both know the same of addresses."""
    net = set_up(Options(local_addrs="%any", connection="rekey_time = 0"))
    net.script = lambda line, nth, data: [] if line.startswith("b -> a INFORMATIONAL request") else [DELAY]
    net.command("b", Rekey(ike="ab"))
    net.run(1)
    assert len(net.a.manager.ike_sas) == 2
    has(net, "a", ADDRESS_A, SECOND_A)
    net.run(1)
    known = net.b.manager.ike_sas[-1].mobike
    assert known is not None and known.remote == (SECOND_A,)
