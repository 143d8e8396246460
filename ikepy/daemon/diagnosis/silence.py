"""Says in words of a peer that does not answer: to a set-up, on an IKE_SA that is up, for a while only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ikepy.config.model import Connection
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import Dated, Pause, Try
from ikepy.daemon.net.icmp_errors import NO_PORT, IcmpError
from ikepy.sa.api.ends import Silence
from ikepy.sa.api.events import Retransmitted
from ikepy.sa.exchange.mismatch import SMALL
from ikepy.wire.constants import ExchangeType

FORGOTTEN_BY_NAT = (
    "The peer is behind a NAT, which has probably forgotten its mapping while nothing was sent: only a "
    "packet of the peer opens it again."
)
HINTED = frozenset(
    {Code.PEER_SILENT, Code.AUTH_UNANSWERED, Code.UNANSWERED, Code.ESP_BLOCKED, Code.WENT_SILENT}
)
OLD = 600.0  # seconds after which an ICMP error says nothing any more
KEEPALIVES = "Have the peer send NAT keepalives, or DPD, more often than its NAT forgets."


def hinted(
    finding: Finding, icmp: Dated[IcmpError] | None, now: float, *, nat_remote: bool = False
) -> Finding:
    """A finding of silence with what ICMP says of it, if something: a hint, for anybody can say it.

    `nat_remote`: the peer is behind a NAT, which says so of mappings that it does not have.
    """
    if icmp is None or now - icmp.at >= OLD or finding.code not in HINTED:
        return finding
    error = icmp.event
    of_nat = nat_remote and error.kind == NO_PORT and error.by == error.remote.address
    meaning = "the NAT there has no such mapping any more" if of_nat else error.meaning
    hint = (
        f"{error.by} says of it: {error.kind}: {meaning} (by ICMP, which is not authenticated, "
        f"{now - icmp.at:.0f} s ago)."
    )
    return replace(finding, why=f"{hint} Otherwise: {finding.why}" if finding.why else hint)


def so_far(sent: Dated[Retransmitted], connection: Connection) -> Finding:
    """A try that is under way, and has had no answer yet."""
    event, remote = sent.event, sent.event.sa.path.remote
    first = event.message_id == 0
    if first:
        why = "The peer may be down, UDP 500 or 4500 filtered on the way, or the address wrong."
        address = f"connections.{connection.name}.remote_addrs"
        do = f"Look on the peer with: tcpdump -n udp port {remote.port}; and at {address}."
    else:
        why = (
            f"It answered IKE_SA_INIT: UDP port {remote.port} may be filtered on the way, IP fragments of a "
            "large request dropped, or the peer drops what it does not like without an answer."
        )
        do = f"Look on the peer with: tcpdump -n udp port {remote.port}; and at its log."
    return Finding(
        Code.PEER_SILENT if first else Code.AUTH_UNANSWERED,
        Severity.WARNING,
        f"No answer yet from {remote.address}, UDP port {remote.port}: "
        f"{'IKE_SA_INIT' if first else 'IKE_AUTH'} was sent {event.attempt + 1} times.",
        why,
        f"{do} It is tried further meanwhile.",
        at=sent.at,
    )


def of_silence(silence: Silence, tried: Try, connection: Connection) -> Finding:
    """A try that had no answer."""
    remote, seconds = tried.path.remote, f"{silence.seconds:.0f} s"
    if silence.exchange is ExchangeType.IKE_SA_INIT or silence.exchange is None:
        return Finding(
            Code.PEER_SILENT,
            Severity.ERROR,
            f"The peer is silent: nothing came from {remote.address}, UDP port {remote.port}, for {seconds}.",
            "UDP 500 or 4500 is filtered on the way, the address is wrong, or no IKE daemon listens there.",
            f"Look on the peer with: tcpdump -n udp port {remote.port}. If nothing arrives, look at "
            f"firewalls and at connections.{connection.name}.remote_addrs; if it arrives, at the peer's log.",
        )
    agreed = tried.sa is not None and tried.sa.fragmentation
    name = silence.exchange.name
    what = f"The peer answered IKE_SA_INIT, but not {name} ({silence.octets} octets), for {seconds}."
    if silence.datagrams == 1 and silence.octets > SMALL:
        do = (
            "Set fragment_size of [daemon] lower, 1200 or less."
            if agreed
            else "Have the peer turn IKE fragmentation (RFC 7383) on, or let IP fragments through."
        )
        return Finding(
            Code.AUTH_UNANSWERED,
            Severity.ERROR,
            what,
            "The request was larger than the path takes in one packet, and IP fragments are dropped on the "
            f"way; IKE fragmentation is {'' if agreed else 'not '}agreed on.",
            do,
        )
    in_parts = f"It was sent in {silence.datagrams} IKE fragments. " if silence.datagrams > 1 else ""
    return Finding(
        Code.AUTH_UNANSWERED,
        Severity.ERROR,
        what,
        f"{in_parts}UDP port {remote.port} is filtered on the way, or the peer drops a request that it "
        "does not like without an answer.",
        f"Let UDP port {remote.port} through, and look at the peer's log.",
    )


def unanswered(sent: Dated[Retransmitted], now: float, esp_heard: float | None) -> Finding:
    """A request on an IKE_SA that is up. `esp_heard`: seconds since its children received something, None if
    that is no later than what IKE received."""
    event, sa = sent.event, sent.event.sa
    remote = sa.path.remote
    what = (
        f"The peer {remote} does not answer: request {event.message_id} was sent {event.attempt + 1} times, "
        f"and nothing authentic has come for {now - sa.heard_at:.0f} s"
    )
    why = "The peer is down or has restarted, or the path is broken."
    do = "Nothing yet: the IKE_SA is given up after the last retransmission, and set up again."
    if esp_heard is not None:
        what += f" by IKE, though ESP came {esp_heard:.0f} s ago"
        why = (
            f"The peer is there: UDP port {remote.port} is filtered on the way, or a firewall has forgotten "
            "its flow while IKE was idle."
        )
        do += " Keep that flow open, by DPD at both ends."
    elif sa.nat_remote:
        why = FORGOTTEN_BY_NAT
        do += f" {KEEPALIVES}"
    return Finding(Code.UNANSWERED, Severity.ERROR, f"{what}.", why, do, at=sent.at)


def paused(pauses: Sequence[Pause], *, nat: bool) -> Finding:
    """The peer did not answer for a while, once or more, and then did. `nat`: it is behind one."""
    longest = max(one.seconds for one in pauses)
    times = "" if len(pauses) == 1 else f" {len(pauses)} times, the longest"
    who = "The NAT before the peer" if nat else "A NAT or firewall"
    return Finding(
        Code.CAME_BACK,
        Severity.NOTE,
        f"The peer did not answer{times} for {longest:.0f} s, and then did by itself.",
        f"The path was broken for so long. {who} may have forgotten the flow while it was idle.",
        "If it happens after idle times, keep the flow open: NAT keepalives of the end behind the NAT, DPD "
        "at both ends.",
        at=pauses[-1].at,
    )
