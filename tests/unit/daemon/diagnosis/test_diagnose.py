"""What is said of a tunnel: each failure that events carry, each counter, and what they have in common."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from esp.packet.selectors import Selector
from esp.sa.suites import suite_for
from ikepy.config.identity import Identity
from ikepy.daemon.bus.daemon_events import ConnectionRemoved
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.snapshot import InstalledChild
from ikepy.daemon.diagnosis import traffic
from ikepy.daemon.diagnosis.diagnose import RECENT
from ikepy.daemon.diagnosis.findings import Code, Severity, State
from ikepy.daemon.diagnosis.history import MOST_STRANGERS, History
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.vici.status_sections import status_events
from ikepy.sa.api.ends import (
    AuthenticationFailure,
    AuthenticationFault,
    Cause,
    ChildRemoval,
    End,
    Failure,
    HalfOpenLimit,
    KeyExchangeMismatch,
    Party,
    ProposalMismatch,
    SelectorMismatch,
    Silence,
)
from ikepy.sa.api.events import (
    ChildDown,
    ChildExpired,
    ChildRekeyFailed,
    ChildSetUpFailed,
    ChildUp,
    IkeDown,
    IkeMoved,
    IkeRekeyFailed,
    IkeSetUpFailed,
    IkeUp,
    LocalAddressGone,
    MoveReason,
    PacketRefused,
    ResponseIgnored,
    RetransmissionsEnded,
    Retransmitted,
)
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.snapshot import Waiting
from ikepy.wire.constants import Encr, ExchangeType, KeGroup, NotifyType, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform
from tests.unit.daemon.fakes import PATH
from tun.state import Route

from .bed import AT, BOTH, CHILD, DEVICE, NOTHING, SA, SENT, WORKER, Bed, codes, every, only, tunnel

OURS = (Proposal(1, ProtocolId.IKE, b"", (Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),)),)
THEIRS = (Proposal(1, ProtocolId.IKE, b"", (Transform(TransformType.ENCR, Encr.AES_CBC, 256),)),)
A, B = Identity.parse("gwa"), Identity.parse("gwb")
PAIR = ((Selector.of("10.1.0.0/24"),), (Selector.of("10.2.0.0/24"),))
CONNECTING = replace(SA, established_at=None, state="CONNECTING")
BY_PEER = replace(CONNECTING, initiator=False)
START = bytes.fromhex("4500001c00000000400100000a0101010a020101")  # 10.1.1.1 -> 10.2.1.1, ICMP
REFUSED = NotifyType.NO_PROPOSAL_CHOSEN


def failed(cause: Cause | None, by: Party = Party.PEER, end: End = End.REFUSED) -> IkeSetUpFailed:
    return IkeSetUpFailed(CONNECTING, PATH, end, Failure(by, REFUSED, cause), "words")


@pytest.mark.parametrize(
    ("cause", "code", "words"),
    [
        (
            Silence(ExchangeType.IKE_SA_INIT, 12.0, 400, 1),
            Code.PEER_SILENT,
            "192.0.2.2, UDP port 500, for 12 s",
        ),
        (Silence(ExchangeType.IKE_AUTH, 12.0, 1900, 1), Code.AUTH_UNANSWERED, "not IKE_AUTH (1900 octets)"),
        (Silence(ExchangeType.IKE_AUTH, 12.0, 300, 1), Code.AUTH_UNANSWERED, "UDP port 500 is filtered"),
        (Silence(ExchangeType.IKE_AUTH, 12.0, 3000, 3), Code.AUTH_UNANSWERED, "in 3 IKE fragments"),
        (ProposalMismatch(OURS), Code.IKE_PROPOSALS, "NO_PROPOSAL_CHOSEN"),
        (KeyExchangeMismatch(OURS, KeGroup.MODP_2048), Code.KEY_EXCHANGE, "MODP_2048"),
        (HalfOpenLimit(), Code.HALF_OPEN_LIMIT, "init_limit_half_open"),
        (None, Code.REFUSED, "the peer refused it: NO_PROPOSAL_CHOSEN"),
    ],
    ids=str,
)
def test_a_set_up_that_fails(cause: Cause | None, code: Code, words: str) -> None:
    bed = Bed()
    bed.happens(failed(cause))
    told = bed.diagnosis()
    assert only(told).code is code
    assert words in f"{only(told).what} {only(told).why} {only(told).do}"
    assert only(told).at == bed.now
    assert tunnel(told).state is State.DOWN
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    assert code not in codes(bed.diagnosis(up=True))


@pytest.mark.parametrize(("agreed", "words"), [(True, "fragment_size"), (False, "RFC 7383")])
def test_a_large_ike_auth(agreed: bool, words: str) -> None:
    bed, cause = Bed(), Silence(ExchangeType.IKE_AUTH, 12.0, 1900, 1)
    sa = replace(CONNECTING, fragmentation=agreed)
    bed.happens(IkeSetUpFailed(sa, PATH, End.TIMEOUT, Failure(Party.NOBODY, None, cause), ""))
    assert words in only(bed.diagnosis()).do


@pytest.mark.parametrize("fault", AuthenticationFault)
def test_each_fault_of_an_authentication(fault: AuthenticationFault) -> None:
    bed = Bed()
    cause = AuthenticationFailure(fault, A, B, "secret of [secrets.x]")
    by = Party.PEER if fault is AuthenticationFault.NOT_SAID else Party.US
    bed.happens(failed(cause, by))
    told = only(bed.diagnosis())
    assert told.code is Code.AUTHENTICATION and told.do
    if by is Party.PEER:
        assert 'FQDN "gwa"' in told.why and "[secrets.x]" in told.why


@pytest.mark.parametrize("fault", ["UNTRUSTED", "WRONG_SIGNATURE", "NO_CERTIFICATE", "USER", "METHOD"])
def test_why_a_proof_is_not_believed(fault: str) -> None:
    bed = Bed()
    bed.happens(
        failed(AuthenticationFailure(AuthenticationFault[fault], A, B, reason="it is revoked"), Party.US)
    )
    assert "it is revoked" in only(bed.diagnosis()).why


@pytest.mark.parametrize("fault", ["NO_SECRET", "NO_CERTIFICATE"])
def test_who_could_not_authenticate(fault: str) -> None:
    bed = Bed()
    bed.happens(failed(AuthenticationFailure(AuthenticationFault[fault], A, B), Party.US))
    assert only(bed.diagnosis()).what.startswith("We can't authenticate to 192.0.2.2")


def test_no_virtual_address_for_us() -> None:
    bed = Bed()
    failure = Failure(Party.US, NotifyType.INTERNAL_ADDRESS_FAILURE)
    bed.happens(
        IkeSetUpFailed(CONNECTING, PATH, End.REFUSED, failure, "the peer gives us no virtual address")
    )
    assert "pool" in only(bed.diagnosis()).do


@pytest.mark.parametrize("address", ["192.168.1.4", "203.0.113.4"])
def test_the_identity_is_the_address_behind_a_nat(address: str) -> None:
    bed = Bed()
    cause = AuthenticationFailure(AuthenticationFault.NOT_SAID, Identity.parse(address), B)
    sa = replace(CONNECTING, nat_local=True)
    bed.happens(IkeSetUpFailed(sa, PATH, End.REFUSED, Failure(Party.PEER, 24, cause), ""))
    told = only(bed.diagnosis())
    assert told.code is Code.NAT_IDENTITY and "local.id" in told.do
    assert address in told.what


def test_both_proposals_where_we_refuse() -> None:
    bed = Bed()
    cause = ProposalMismatch(OURS, THEIRS)
    bed.happens(IkeSetUpFailed(BY_PEER, PATH, End.REFUSED, Failure(Party.US, REFUSED, cause), ""))
    told = only(bed.diagnosis(waiting=Waiting.COMMAND))
    assert (told.ours, told.theirs) == (("AES_GCM_16_128",), ("AES_CBC_256",))


@pytest.mark.parametrize("theirs", [None, THEIRS])
@pytest.mark.parametrize(("pq", "told"), [("require", True), ("off", True), ("prefer", False)])
def test_whether_one_end_insists_on_ml_kem(pq: str, told: bool, theirs: tuple[Proposal, ...] | None) -> None:
    bed = Bed()
    bed.config = bed.config.model_copy(update={"pq": pq})
    by = Party.PEER if theirs is None else Party.US
    bed.happens(failed(ProposalMismatch(OURS, theirs), by))
    assert (f'connections.a.pq = "{pq}"' in only(bed.diagnosis()).do) is told


def test_a_response_that_is_ignored_explains_the_silence_after_it() -> None:
    bed = Bed()
    cause = KeyExchangeMismatch(OURS, KeGroup.MODP_2048)
    bed.happens(ResponseIgnored(CONNECTING, Failure(Party.PEER, 17, cause), ""))
    assert only(bed.diagnosis(waiting=Waiting.SET_UP)).code is Code.KEY_EXCHANGE
    bed.happens(failed(Silence(ExchangeType.IKE_SA_INIT, 12.0), Party.NOBODY, End.TIMEOUT))
    assert only(bed.diagnosis()).code is Code.KEY_EXCHANGE
    bed.happens(failed(Silence(ExchangeType.IKE_SA_INIT, 12.0), Party.NOBODY, End.TIMEOUT))
    assert only(bed.diagnosis()).code is Code.PEER_SILENT, "a try without such a response"
    bed.happens(ResponseIgnored(CONNECTING, Failure(Party.US, 7), "malformed"))
    assert "malformed" in only(bed.diagnosis()).what


@pytest.mark.parametrize("by", [Party.PEER, Party.US])
def test_a_child_that_is_refused(by: Party) -> None:
    for cause, code in (
        (SelectorMismatch((PAIR,), PAIR if by is Party.US else None), Code.SELECTORS),
        (ProposalMismatch(OURS, THEIRS if by is Party.US else None), Code.CHILD_PROPOSALS),
        (None, Code.REFUSED),
    ):
        for name in ("net", ""):
            bed = Bed()
            bed.happens(IkeUp(SA), ChildSetUpFailed(SA, name, Failure(by, 38, cause), "words"))
            told = only(bed.diagnosis())
            assert told.code is code
            assert (told.theirs is not None) is (by is Party.US and cause is not None)
            bed.happens(ChildUp(SA, CHILD))
            assert not list(every(bed.diagnosis()))


def test_a_peer_that_makes_no_second_child() -> None:
    bed = Bed()
    bed.happens(IkeUp(SA))
    bed.happens(ChildSetUpFailed(SA, "net", Failure(Party.PEER, NotifyType.NO_ADDITIONAL_SAS), "words"))
    told = only(bed.diagnosis())
    assert "RFC 7296 4" in told.why and "ikepy rekey --ike a --reauth" in told.do


def test_a_rekey_that_is_refused() -> None:
    bed = Bed()
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    refused = Failure(Party.PEER, REFUSED, ProposalMismatch(OURS))
    bed.happens(ChildRekeyFailed(SA, CHILD, refused, 30.0, ""))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.PFS)
    assert "Our proposals have no key exchange" in told.why
    with_group = replace(CHILD, proposal=Proposal(1, 3, b"", (Transform(TransformType.KE, 31),)))
    bed.happens(ChildRekeyFailed(SA, with_group, refused, 30.0, ""))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.REKEY_REFUSED)
    assert told.why.startswith("The peer took CURVE_25519 before, which is in use")
    bed.happens(ChildExpired(SA, CHILD), ChildDown(SA, CHILD, ChildRemoval.DELETED))
    assert Code.EXPIRED in codes(bed.diagnosis())
    bed.happens(ChildUp(SA, CHILD))
    assert codes(bed.diagnosis(up=True)) == [Code.NOTHING_GOES_OUT]
    bed.happens(IkeRekeyFailed(SA, refused, 30.0, ""))
    assert Code.REKEY_REFUSED in codes(bed.diagnosis(up=True))


@pytest.mark.parametrize(
    ("notify", "why", "do"),
    [
        (
            NotifyType.TS_UNACCEPTABLE,
            "nothing but the selectors in use",
            "children.net.local_ts and remote_ts",
        ),
        (NotifyType.NO_ADDITIONAL_SAS, "RFC 7296 4", "authenticated anew instead"),
        (NotifyType.TEMPORARY_FAILURE, "busy", "look at the peer's log"),
        (4711, "the peer took 10.1.0.0/24 === 10.2.0.0/24 at first", "children.net.esp_proposals"),
    ],
)
def test_what_differs_from_the_first_offer(notify: int, why: str, do: str) -> None:
    bed = Bed(child={"esp_proposals": ["aes128gcm16-x25519"], "local_ts": ["10.1.0.0/16"]})
    narrowed = replace(CHILD, ts_local=PAIR[0], ts_remote=PAIR[1])
    bed.happens(IkeUp(SA), ChildUp(SA, narrowed))
    bed.happens(ChildRekeyFailed(SA, narrowed, Failure(Party.PEER, notify), 30.0, ""))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.REKEY_REFUSED)
    assert "In use is AES_GCM_16_128, without a key exchange" in told.why
    assert "the rekey asks for CURVE_25519" in told.why
    assert "Of 10.1.0.0/16 === 10.2.0.0/24 fd02::/64, which the rekey asks for, the peer took" in told.why
    assert why in told.why and do in told.do


def test_nothing_differs_from_the_first_offer() -> None:
    bed = Bed(child={"remote_ts": ["10.2.0.0/24"]})
    child = replace(CHILD, ts_local=PAIR[0], ts_remote=PAIR[1])
    bed.happens(ChildRekeyFailed(SA, child, Failure(Party.PEER, 4711), 30.0, ""))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.REKEY_REFUSED)
    assert told.why == "Nothing in the rekey's offer differs from what the peer took at first."


@pytest.mark.parametrize("end", End)
def test_each_end(end: End) -> None:
    bed = Bed()
    bed.happens(IkeUp(SA))
    bed.now += 50
    bed.happens(IkeDown(SA, end, None, ""))
    told = only(bed.diagnosis())
    restarted = end in (End.RESTARTED, End.LOST_BY_PEER)
    assert told.code is (Code.PEER_RESTARTED if restarted else Code.ENDED)
    assert "ended after 50 s" in told.what
    assert tunnel(bed.diagnosis()).since == bed.now


def test_it_flaps() -> None:
    bed = Bed()
    for _ in range(3):
        bed.happens(IkeUp(SA), IkeDown(SA, End.TIMEOUT, None, ""))
    bed.happens(IkeUp(SA))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.FLAPPING)
    assert "3 times: the peer did not answer" in told.what
    bed.now += RECENT + 1
    assert Code.FLAPPING not in codes(bed.diagnosis(up=True))


def test_a_request_without_an_answer() -> None:
    bed = Bed()
    first = replace(SA, ike_id=0)  # the bed's
    bed.happens(IkeUp(first), Retransmitted(first, 4, 2, ()))
    told = next(iter(every(bed.diagnosis(up=True))))
    assert told.code is Code.UNANSWERED and "request 4 was sent 3 times" in told.what
    bed.happens(RetransmissionsEnded(first, 4, 2))
    assert Code.UNANSWERED not in codes(bed.diagnosis(up=True))


def test_several_ike_sas_and_a_move() -> None:
    bed = Bed()
    bed.happens(IkeUp(SA))
    assert Code.SEVERAL_IKE_SAS in codes(bed.diagnosis(up=True, sas=2))
    assert Code.SEVERAL_IKE_SAS not in codes(bed.diagnosis(up=True))
    old = Path(PATH.local, Endpoint(ip_address("192.0.2.77"), 4500))
    bed.happens(IkeMoved(SA, old, MoveReason.NAT_MAPPING))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.PEER_MOVED)
    assert "192.0.2.77" in told.what and "nat mapping" in told.what


def test_an_ike_sa_that_was_resumed() -> None:
    bed = Bed(sa=replace(SA, resumed=True))
    told = next(one for one in every(bed.diagnosis(up=True)) if one.code is Code.RESUMED)
    assert "without a key exchange" in told.what
    assert Code.RESUMED not in codes(Bed().diagnosis(up=True))


def test_this_host() -> None:
    bed = Bed()
    address = PATH.local.address
    bed.happens(LocalAddressGone(SA, address, back=False))
    assert codes(bed.diagnosis()) == [Code.ADDRESS_GONE]
    bed.happens(LocalAddressGone(SA, address, back=True))
    assert not codes(bed.diagnosis())
    assert codes(bed.diagnosis(waiting=Waiting.ADDRESS)) == [Code.NO_ADDRESS]
    (told,) = every(bed.diagnosis(waiting=Waiting.ADDRESS, reason="vpn.example.com: no such name"))
    assert told.why == "vpn.example.com: no such name."
    assert codes(bed.diagnosis(device=replace(DEVICE, problems=("it was taken down by others",)))) == [
        Code.DEVICE
    ]
    assert codes(bed.diagnosis(worker=replace(WORKER, pid=None))) == [Code.NO_WORKER]
    other = replace(DEVICE, name="vti-b", connection="b")
    assert codes(bed.diagnosis(more=(other,))) == [Code.OVERLAPPING_ROUTES]
    many = tuple(replace(DEVICE, name=f"vti-{n}", connection=f"{n}") for n in range(500))
    assert "vti-2 of 2 and 497 more" in only(bed.diagnosis(more=many)).what
    elsewhere = replace(other, routes=(Route.of(ip_network("10.2.0.0/24"), metric=5),))
    assert not codes(bed.diagnosis(more=(elsewhere,))), "one stands in for the other"
    assert codes(bed.diagnosis(worker=replace(WORKER, drops={"unknown_spi": 3}))) == [Code.UNKNOWN_SPI]


@pytest.mark.parametrize(
    ("counters", "code"),
    [
        (SENT, Code.ESP_BLOCKED),
        (BOTH, None),
        (replace(BOTH, in_last=int(AT) - 40), Code.WENT_SILENT),
        (replace(BOTH, in_last=int(AT) - 80, out_last=int(AT) - 40), None),
        (NOTHING, Code.NOTHING_GOES_OUT),
        (replace(SENT, drops={"integrity": 5}), Code.INTEGRITY),
        (replace(BOTH, drops={"integrity": 5}), Code.INTEGRITY),
        (replace(BOTH, drops={"replay": 2}), Code.REPLAYS),
        (replace(BOTH, drops={"selectors": 2}), Code.OUTSIDE_SELECTORS_IN),
        (replace(BOTH, drops={"too_big": 2}), Code.TOO_BIG),
    ],
    ids=str,
)
def test_counters(counters: object, code: Code | None) -> None:
    assert isinstance(counters, type(NOTHING))
    bed = Bed()
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    assert codes(bed.diagnosis(up=True, counters=counters)) == ([] if code is None else [code])


def test_what_was_carried_before_it_came_up_anew_hides_nothing() -> None:
    bed = Bed()
    came_before = Traffic(in_packets=9, out_packets=20)
    bed.now = CHILD.installed_at
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    bed.now += 60
    assert codes(bed.diagnosis(up=True, counters=SENT, total=came_before)) == [Code.ESP_BLOCKED]


def test_more_of_the_counters() -> None:
    bed = Bed()
    assert codes(bed.diagnosis(up=True, counters=SENT, encap=True)) == [Code.NOTHING_COMES_IN]
    came_before = Traffic(in_packets=9, out_packets=20)
    assert codes(bed.diagnosis(up=True, counters=SENT, total=came_before)) == [Code.WENT_SILENT]
    bed.now = CHILD.installed_at + 5
    just_sent = replace(SENT, out_last=int(bed.now))
    assert not codes(bed.diagnosis(up=True, counters=just_sent, total=came_before)), "just rekeyed"
    bed.now = 100.0
    assert codes(bed.diagnosis(up=True, device=replace(DEVICE, routes=()))) == [Code.NO_ROUTE]
    bed.happens(PacketRefused(SA, CHILD, START))
    told = only(bed.diagnosis(up=True, counters=replace(BOTH, drops={"selectors": 1})))
    assert "10.1.1.1 -> 10.2.1.1" in told.what
    bed.now = CHILD.installed_at + traffic.SETTLED / 2
    assert not codes(bed.diagnosis(up=True, counters=SENT)), "too early to say"


def test_a_peer_that_truncates() -> None:
    state = traffic.ChildTrafficState
    bed = Bed()
    told = bed.diagnosis(up=True, counters=replace(SENT, drops={"integrity": 5}))
    assert "truncate" not in only(told).why
    assert only(told).severity is Severity.ERROR
    old = InstalledChild(
        replace(CHILD, suite=suite_for(12, 128, 12)), "vti-a", replace(SENT, drops={"integrity": 5})
    )
    (finding,) = traffic.findings(state(bed.config, SA, old, Traffic(0, 0, 5, 500), None, False, 100))
    assert "96 bits" in finding.why


@pytest.mark.parametrize("end", [End.DELETED, End.REPLACED])
def test_a_set_up_that_was_given_up_here_is_no_failure(end: End) -> None:
    bed = Bed()
    bed.happens(Retransmitted(CONNECTING, 0, 2, ()))
    bed.happens(IkeSetUpFailed(CONNECTING, PATH, end, None, "terminated"))
    told = bed.diagnosis(waiting=Waiting.COMMAND)
    assert not codes(told)
    assert (tunnel(told).state, bed.history.of("a").tries) == (State.WAITING, 0)


def test_the_newest_refusal_comes_first_and_takes_the_place_of_older_ones() -> None:
    bed = Bed()
    wrong = Failure(Party.US, 24, AuthenticationFailure(AuthenticationFault.WRONG_SECRET, A, B))
    no_suite = Failure(Party.US, REFUSED, ProposalMismatch(OURS))
    bed.happens(IkeSetUpFailed(BY_PEER, PATH, End.REFUSED, wrong, ""))
    assert codes(bed.diagnosis()) == [Code.AUTHENTICATION]
    bed.now += 1
    bed.happens(IkeSetUpFailed(None, PATH, End.REFUSED, no_suite, ""))
    assert codes(bed.diagnosis()) == [Code.IKE_PROPOSALS]
    bed.now += 1
    bed.happens(IkeSetUpFailed(BY_PEER, PATH, End.REFUSED, wrong, ""))
    assert codes(bed.diagnosis()) == [Code.AUTHENTICATION]
    bed.now += 1
    bed.happens(ChildSetUpFailed(SA, "", Failure(Party.US, REFUSED, SelectorMismatch(())), ""))
    assert codes(bed.diagnosis()) == [Code.SELECTORS, Code.AUTHENTICATION], "newest first"


def test_strangers() -> None:
    bed = Bed()
    known, unknown = (
        Path(PATH.local, Endpoint(ip_address(one), 500)) for one in ("192.0.2.2", "203.0.113.9")
    )
    refused = Failure(Party.US, REFUSED)
    bed.happens(IkeSetUpFailed(None, unknown, End.REFUSED, refused, "no connection has ..."))
    told = bed.diagnosis()
    assert [one.code for one in told.findings] == [Code.UNKNOWN_ADDRESS]
    assert "203.0.113.9" in told.findings[0].what
    bed.happens(
        IkeSetUpFailed(None, known, End.REFUSED, Failure(Party.US, REFUSED, ProposalMismatch(OURS)), "")
    )
    told = bed.diagnosis()
    assert [one.code for one in tunnel(told).findings] == [Code.IKE_PROPOSALS], "it looks like the peer"
    assert len(told.findings) == 1
    for number in range(2 * MOST_STRANGERS):
        there = Path(PATH.local, Endpoint(ip_address(f"203.0.113.{number}"), 500))
        bed.happens(IkeSetUpFailed(None, there, End.REFUSED, refused, ""))
    assert len(bed.history.strangers) == MOST_STRANGERS
    bed.now += RECENT + 1
    assert not codes(bed.diagnosis())


def test_a_refused_request_beside_a_tunnel_that_is_up_is_no_error_of_it() -> None:
    bed = Bed()
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    cause = AuthenticationFailure(AuthenticationFault.WRONG_SECRET, A, B)
    bed.happens(IkeSetUpFailed(BY_PEER, PATH, End.REFUSED, Failure(Party.US, 24, cause), ""))
    told = only(bed.diagnosis(up=True, counters=BOTH))
    assert (told.code, told.severity) == (Code.AUTHENTICATION, Severity.WARNING)


def test_a_connection_that_goes_takes_its_history_with_it() -> None:
    bus, history = EventBus(), History(lambda: 1.0)
    history.listen(bus)
    bus.publish(IkeUp(SA))
    assert history.of("a").up_since == 1.0
    bus.publish(ConnectionRemoved("a", "vti-a"))
    assert history.of("a").up_since is None and not history.connections


def test_states() -> None:
    bed = Bed()
    assert tunnel(bed.diagnosis(waiting=Waiting.COMMAND)).state is State.WAITING
    assert tunnel(bed.diagnosis(waiting=Waiting.SET_UP)).state is State.CONNECTING
    assert tunnel(bed.diagnosis(up=True)).state is State.UP


@pytest.mark.parametrize("name", ["net", ""])
def test_a_child_may_come_a_moment_after_its_ike_sa(name: str) -> None:
    """A refused one does not: ours, or the peer's."""
    bed = Bed()
    bed.happens(IkeUp(SA))
    assert tunnel(bed.diagnosis(childless=True, waiting=Waiting.SET_UP)).state is State.CONNECTING
    bed.now += traffic.SETTLED
    assert tunnel(bed.diagnosis(childless=True, waiting=Waiting.SET_UP)).state is State.NO_CHILD
    bed.now -= traffic.SETTLED
    bed.happens(ChildSetUpFailed(SA, name, Failure(Party.US, 38), "words"))
    assert tunnel(bed.diagnosis(childless=True)).state is State.NO_CHILD


@pytest.mark.parametrize(
    ("message_id", "code", "words"),
    [
        (0, Code.PEER_SILENT, "IKE_SA_INIT was sent 3 times. The peer may be down"),
        (1, Code.AUTH_UNANSWERED, "IKE_AUTH was sent 3 times. It answered IKE_SA_INIT"),
    ],
)
def test_a_try_that_has_no_answer_yet(message_id: int, code: Code, words: str) -> None:
    bed = Bed()
    bed.happens(Retransmitted(CONNECTING, message_id, 2, ()))
    told = only(bed.diagnosis(waiting=Waiting.SET_UP))
    assert (told.code, told.severity) == (code, Severity.WARNING)
    assert words in f"{told.what} {told.why}"
    bed.happens(IkeUp(SA), ChildUp(SA, CHILD))
    assert code not in codes(bed.diagnosis(up=True, counters=BOTH))


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, False),
        ({"proposals": ["aes128gcm16-prfsha256-x25519-ke1_mlkem768"]}, True),
        ({"proposals": ["default"]}, True),
        ({"proposals": ["default"], "pq": "off"}, False),
        ({"ppk_id": "somebody"}, True),
    ],
)
def test_whether_quantum_safe_is_asked_for(keys: dict[str, Any], wanted: bool) -> None:
    diagnosis = Bed(**keys).diagnosis(up=True)
    assert tunnel(diagnosis).wants_quantum_safe is wanted
    (event,) = status_events(replace(diagnosis, findings=()))
    assert event["quantum-safe"] == "no"
    assert event.get("quantum-safe-wanted") == ("yes" if wanted else None)
