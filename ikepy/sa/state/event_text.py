"""Formats events as lines of the log."""

from __future__ import annotations

from ipaddress import ip_address

from ikepy.sa.api.ends import ChildRemoval
from ikepy.sa.api.events import (
    ChildDown,
    ChildExpired,
    ChildRekeyed,
    ChildRekeyFailed,
    ChildSetUpFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeExpired,
    IkeMoved,
    IkeRekeyed,
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
from ikepy.sa.api.path import Path
from ikepy.sa.api.snapshot import ChildSnapshot
from ikepy.sa.negotiation.proposals import describe
from ikepy.sa.state.child_sa import texts

ENDED = "IKE_SA ended: "


def text_of(event: Event) -> str:
    """The line about an event, without the IKE_SA that it is about."""
    match event:
        case IkeUp(sa):
            local, remote = sa.path.local, sa.path.remote
            return f"IKE_SA established, {sa.local_id} at {local} === {sa.remote_id} at {remote}"
        case IkeRekeyed(_, new):
            suite = "" if new.proposal is None else f", {describe(new.proposal)}"
            return f"IKE_SA rekeyed as #{new.ike_id}{suite}"
        case IkeDown(text=text) | IkeSetUpFailed(text=text):
            return f"{ENDED}{text}"
        case IkeMoved(sa, old, reason):
            return moved(old, sa.path, reason)
        case IkeExpired():
            return "IKE_SA expired"
        case ChildUp(_, child):
            return installed(child)
        case ChildRekeyed(_, old, new):
            return f"CHILD_SA {named(old)} rekeyed as #{new.child_id}"
        case ChildDown(_, child, reason):
            return removed(child, reason)
        case ChildExpired(_, child):
            return f"CHILD_SA {child.name} #{child.child_id} expired"
        case (
            ChildSetUpFailed(text=text)
            | IkeRekeyFailed(text=text)
            | ChildRekeyFailed(text=text)
            | ResponseIgnored(text=text)
        ):
            return text
        case Retransmitted(_, message_id, attempt, others):
            where = f", also {', '.join(map(str, others))}" if others else ""
            return f"retransmit {attempt} of request {message_id}{where}"
        case RetransmissionsEnded(_, message_id, attempt):
            return f"request {message_id} is answered after {attempt} retransmissions"
        case PacketRefused(_, child, start):
            return f"{named(child)}: dropped {packet_text(start)}, which its selectors do not permit"
        case LocalAddressGone(_, address, back):
            gone = "gone, and there is no other address to use"
            return f"{address} is {'back' if back else gone}"


def named(child: ChildSnapshot) -> str:
    """ "net #3"."""
    return f"{child.name} #{child.child_id}"


def installed(child: ChildSnapshot) -> str:
    spis = f"spis {child.spi_in:08x}_i {child.spi_out:08x}_o"
    traffic = f"{texts(child.ts_local)} === {texts(child.ts_remote)}"
    return f"CHILD_SA {named(child)} installed, {spis}, {describe(child.proposal)}, {traffic}"


def removed(child: ChildSnapshot, reason: ChildRemoval) -> str:
    return f"CHILD_SA {named(child)} removed ({reason.value})"


def moved(old: Path, new: Path, reason: MoveReason) -> str:
    match reason:
        case MoveReason.OWN_ADDRESS_GONE:
            return f"{old.local.address} is gone: {new}"
        case MoveReason.REFUSED:
            return f"the peer does not accept these addresses, {old}"
        case MoveReason.PEER_ANSWERS:
            return f"the peer answers, {new}"
        case MoveReason.PEER_MOVED:
            return f"the peer moved, {new}"
        case MoveReason.PEER_ADDRESS_GONE:
            return f"the peer's address is gone: {new}"
        case MoveReason.NAT_MAPPING:
            return f"the peer moved to {new.remote}"


def packet_text(start: bytes) -> str:
    """Text for the log from the start of an IP packet: "10.1.0.1 -> 10.2.0.1, protocol 17"."""
    version = start[0] >> 4 if start else 0
    if version == 4 and len(start) >= 20:
        source, destination, protocol = start[12:16], start[16:20], start[9]
    elif version == 6 and len(start) >= 40:
        source, destination, protocol = start[8:24], start[24:40], start[6]
    else:
        return "a packet"
    return f"{ip_address(source)} -> {ip_address(destination)}, protocol {protocol}"
