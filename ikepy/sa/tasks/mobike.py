"""Moves an IKE_SA and its children to other addresses (MOBIKE, RFC 4555)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.errors import PeerError
from ikepy.sa.admission import connection_match
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.events import MoveReason
from ikepy.sa.api.path import Address, Path
from ikepy.sa.exchange import path_update
from ikepy.sa.message import query
from ikepy.sa.negotiation import nat
from ikepy.sa.state import event_text
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.peer_addresses import Mobike, announced, no_nats_allowed, unchanged, usable
from ikepy.sa.state.task import Answer, Task, TaskKind
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

PATIENCE = 2  # from this retransmission on, other paths are tried too
MAX_TRIES = 5  # of an update over a path on which somebody changes addresses (RFC 4555 3.9)
COOKIE_SIZE = 16  # octets of COOKIE2


# -- IKE_AUTH --------------------------------------------------------------------------------------


def offer(sa: IkeSa) -> list[Payload]:
    """The payloads that announce MOBIKE and our additional addresses in IKE_AUTH (3.2, 3.4)."""
    if not sa.connection.may_move:
        return []
    ours = Mobike(sa.initiator, local=local_addresses(sa))
    forbidden = [] if sa.nat.supported else [no_nats_allowed(sa.path)]
    return [NotifyPayload(NotifyType.MOBIKE_SUPPORTED), *ours.additional(sa.path), *forbidden]


def local_addresses(sa: IkeSa) -> tuple[Address, ...]:
    """Our addresses that the connection permits, best first."""
    return tuple(
        a
        for a in sa.registry.local_addresses
        if connection_match.permits(sa.connection.local_addrs, a, sa.registry.names)
    )


def agree(sa: IkeSa, payloads: Sequence[Payload]) -> None:
    """Take the peer's IKE_AUTH: `sa` can move from now on if both ends announced MOBIKE."""
    if sa.connection.may_move and query.notify(payloads, NotifyType.MOBIKE_SUPPORTED) is not None:
        sa.mobike = Mobike(sa.initiator, local_addresses(sa), announced(payloads) or ())
        sa.mobike.note_answer(sa.path)


def forbid_nats(payloads: Sequence[Payload], path: Path) -> None:
    """PeerError if the first IKE_AUTH has NO_NATS_ALLOWED and a NAT changed its addresses (3.9)."""
    if not unchanged(payloads, path):
        text = "the peer allows no NAT, but there is one"
        raise PeerError(NotifyType.UNEXPECTED_NAT_DETECTED, text, fatal=True)


# -- our requests ----------------------------------------------------------------------------------


class _Checked:
    """COOKIE2 shows that whoever responds has received the request over the checked path (3.7)."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self) -> None:
        self._path: Path | None = None
        self.cookie = b""

    def begin(self, sa: IkeSa) -> NotifyPayload:
        self._path = sa.path
        self.cookie = sa.registry.entropy.random(COOKIE_SIZE)
        return NotifyPayload(NotifyType.COOKIE2, self.cookie)

    def proves(self, sa: IkeSa, payloads: Sequence[Payload]) -> bool:
        """Whether the path in use is still the checked one; PeerError, fatal, if COOKIE2 is wrong."""
        cookie = query.notify(payloads, NotifyType.COOKIE2)
        if cookie is None or cookie.data != self.cookie:
            raise PeerError(NotifyType.INVALID_SYNTAX, "the peer returns a wrong COOKIE2", fatal=True)
        return self._path == sa.path


class UpdateAddresses(Task[IkeSa]):
    """UPDATE_SA_ADDRESSES: the initiator moves both ends to its path (3.5)."""

    kind = TaskKind.UPDATE_ADDRESSES
    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, tries: int = 1, refused: frozenset[Path] = frozenset()) -> None:
        self._tries = tries
        self._refused = refused
        self.check = _Checked()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        if not sa.established or sa.mobike is None:
            return None
        sa.mobike.searching = False
        addresses = sa.mobike.additional(sa.path) or [NotifyPayload(NotifyType.NO_ADDITIONAL_ADDRESSES)]
        return [
            NotifyPayload(NotifyType.UPDATE_SA_ADDRESSES),
            *(nat_payloads(sa) if sa.nat.supported else [no_nats_allowed(sa.path)]),
            *addresses,
            self.check.begin(sa),
        ]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        path = sa.path
        if not self.check.proves(sa, payloads):
            once(sa, UpdateAddresses())
            return []
        if query.notify(payloads, NotifyType.UNACCEPTABLE_ADDRESSES) is not None:
            return self._other_path(sa, path)
        if query.notify(payloads, NotifyType.UNEXPECTED_NAT_DETECTED) is not None:
            if self._tries < MAX_TRIES:
                sa.enqueue(UpdateAddresses(self._tries + 1), first=True)
            return [sa.log(Level.WARNING, f"addresses are changed on the way, {path}")]
        if sa.mobike is not None and (seen := seen_as(payloads)):
            sa.mobike.seen_as = seen
            sa.nat = nat.detect(payloads, sa.spi_i, sa.spi_r, path)
        return [sa.log(Level.INFO, f"moved, {path}"), *path_update.redirect(sa)]

    def _other_path(self, sa: IkeSa, path: Path) -> list[Effect]:
        refused = self._refused | {path}
        log = sa.log(Level.WARNING, event_text.moved(path, path, MoveReason.REFUSED))
        others = [p for p in paths(sa) if p not in refused]
        if not others:
            return [log]
        told = path_update.move(sa, others[0], MoveReason.REFUSED)
        sa.enqueue(UpdateAddresses(refused=refused), first=True)
        return [log, *told]


class RoutabilityCheck(Task[IkeSa]):
    """The responder checks that the peer is reachable at its new address before children send there (3.7)."""

    kind = TaskKind.ROUTABILITY_CHECK
    exchange = ExchangeType.INFORMATIONAL

    def __init__(self) -> None:
        self.check = _Checked()

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [self.check.begin(sa)] if sa.established else None

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        if not self.check.proves(sa, payloads):
            once(sa, RoutabilityCheck())  # it moved again meanwhile
            return []
        return [sa.log(Level.INFO, f"the peer is reachable, {sa.path}"), *path_update.redirect(sa)]


class AddressList(Task[IkeSa]):
    """Announces our new list of addresses when the path stays, or the peer chooses it (3.6)."""

    kind = TaskKind.ADDRESS_LIST
    exchange = ExchangeType.INFORMATIONAL

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        if not sa.established or sa.mobike is None:
            return None
        addresses = sa.mobike.additional(sa.path) or [NotifyPayload(NotifyType.NO_ADDITIONAL_ADDRESSES)]
        return [*addresses, *([] if sa.nat.supported else [no_nats_allowed(sa.path)])]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return []


def nat_payloads(sa: IkeSa) -> list[Payload]:
    """NAT detection payloads for the path in use."""
    fake = sa.registry.entropy.random if sa.connection.encap else None
    return nat.notify_payloads(sa.spi_i, sa.spi_r, sa.path, fake)


def seen_as(payloads: Sequence[Payload]) -> bytes:
    """The peer's hash of our address as it sees it (NAT_DETECTION_DESTINATION_IP); b"" if absent."""
    notify = query.notify(payloads, NotifyType.NAT_DETECTION_DESTINATION_IP)
    return b"" if notify is None else notify.data


def once(sa: IkeSa, task: UpdateAddresses | RoutabilityCheck | AddressList) -> None:
    """Enqueue a task in front, unless one of its kind waits already."""
    if not sa.tasks.waits(task.kind):
        sa.enqueue(task, first=True)


def handed_over(old: IkeSa, new: IkeSa) -> list[Effect]:
    """Continue on `new`, the successor of a rekey, with the move that was under way on `old`."""
    doing = old.tasks.doing
    elsewhere = new.path != old.children_path
    if new.mobike is None:
        return path_update.redirect(new) if elsewhere else []
    path_update.leave_children(new, old.children_path)
    if doing is TaskKind.ADDRESS_LIST:
        once(new, AddressList())
    if elsewhere or doing in (TaskKind.UPDATE_ADDRESSES, TaskKind.ROUTABILITY_CHECK):
        once(new, UpdateAddresses() if new.mobike.initiator else RoutabilityCheck())
    return []


def paths(sa: IkeSa) -> list[Path]:
    """The paths that we could move to, best first."""
    return [] if sa.mobike is None else [p for p in sa.mobike.paths(sa.path) if sa.registry.leads_out(p)]


def search(sa: IkeSa, attempt: int) -> list[Path]:
    """The other paths on which to send the `attempt`-th retransmission of a request too (3.5).

    The path in use is kept and tried each time: perhaps IKE messages alone are lost for a while. Only a
    response shows which path works; silence proves nothing.
    """
    mobike = sa.mobike
    if mobike is None or not mobike.initiator or not sa.established or attempt < PATIENCE:
        return []
    paths = mobike.probes(sa.path, sa.registry.leads_out)
    mobike.searching = mobike.searching or bool(paths)
    return paths


def answered(sa: IkeSa, path: Path, task: Task[IkeSa]) -> list[Effect]:
    """Take note of a response that came over `path`; it ends a search for a working path (3.5).

    If it is another path than that in use, move to it and tell the peer. A request that announces addresses
    is sent anew even for the same path, if it went out over several (3.6).
    """
    mobike = sa.mobike
    if mobike is None or not sa.established:  # rekeyed meanwhile: the successor moves
        return []
    if path == sa.path:
        mobike.note_answer(path)
    if not mobike.searching:
        return []
    mobike.searching, mobike.probed = False, 0
    if path == sa.path and task.kind not in (TaskKind.UPDATE_ADDRESSES, TaskKind.ADDRESS_LIST):
        return [sa.log(Level.INFO, f"the peer answers again, {path}")]
    told = path_update.move(sa, path, MoveReason.PEER_ANSWERS)
    once(sa, UpdateAddresses())
    return [sa.log(Level.INFO, event_text.moved(path, path, MoveReason.PEER_ANSWERS)), *told]


def heard(sa: IkeSa, path: Path) -> None:
    """Take note of an authentic request that came over `path`: a candidate while we search for a path."""
    if sa.mobike is not None and sa.mobike.searching and path != sa.path and usable(path.remote.address):
        sa.mobike.note_heard(path)


def probe(sa: IkeSa) -> list[Payload]:
    """NAT detection payloads of a liveness check, which reveal a changed mapping of our NAT (3.8)."""
    behind = sa.mobike is not None and sa.mobike.initiator and sa.nat.local
    return nat_payloads(sa) if behind else []


def probed(sa: IkeSa, payloads: Sequence[Payload]) -> None:
    """Update our address at the peer if the response to `probe` shows that our NAT mapping has changed."""
    if sa.mobike is not None and probe(sa) and seen_as(payloads) not in (b"", sa.mobike.seen_as):
        once(sa, UpdateAddresses())


# -- the peer's requests ---------------------------------------------------------------------------


def respond(sa: IkeSa, message_id: int, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    """Handle the MOBIKE notifies of an INFORMATIONAL request that came over `path`.

    Addresses that a later request has replaced already are answered, and change nothing (RFC 4555 3.5).
    """
    mobike = sa.mobike
    if mobike is None:
        return Answer([])
    cookie = query.notify(payloads, NotifyType.COOKIE2)
    answer: list[Payload] = [] if cookie is None else [cookie]
    update = query.notify(payloads, NotifyType.UPDATE_SA_ADDRESSES) is not None
    addresses = announced(payloads)
    if (update or addresses is not None) and not unchanged(payloads, path):
        answer.append(NotifyPayload(NotifyType.UNEXPECTED_NAT_DETECTED))
        return Answer(answer, [sa.log(Level.WARNING, f"addresses are changed on the way, {path}")])
    if update and (mobike.initiator or not usable(path.remote.address)):
        answer.append(NotifyPayload(NotifyType.UNACCEPTABLE_ADDRESSES))
        return Answer(answer, [sa.log(Level.WARNING, f"refused to move, {path}")])
    if (update or addresses is not None) and not mobike.is_newest(sa.ike_id, message_id):
        update, addresses = False, None
    if addresses is not None:
        mobike.remote = addresses
    effects: list[Effect] = []
    if update:
        effects = _follow(sa, payloads, path, now)
    elif addresses is not None and mobike.initiator:
        effects = _leave(sa, (path.remote.address, *addresses), path, now)
    if seen_as(payloads):
        answer += nat.notify_payloads(
            sa.spi_i, sa.spi_r, path, sa.registry.entropy.random if sa.connection.encap else None
        )
    return Answer(answer, effects)


def _follow(sa: IkeSa, payloads: Sequence[Payload], path: Path, now: float) -> list[Effect]:
    """Follow the initiator to `path`; the children follow when a routability check has passed (3.7)."""
    if sa.nat.supported and seen_as(payloads):
        sa.nat = nat.detect(payloads, sa.spi_i, sa.spi_r, path)
    known = sa.children_path.remote.address == path.remote.address
    if path != sa.path:
        sa.window.hasten(now)  # requests sent to its old address are most likely lost
    told = path_update.move(sa, path, MoveReason.PEER_MOVED)
    log = sa.log(Level.INFO, event_text.moved(path, path, MoveReason.PEER_MOVED))
    if known:
        return [log, *told, *path_update.redirect(sa)]
    once(sa, RoutabilityCheck())
    return [log, *told]


def _leave(sa: IkeSa, addresses: Sequence[Address], path: Path, now: float) -> list[Effect]:
    """Move to `path` if the responder's new addresses do not include the one in use (3.5)."""
    if sa.path.remote.address in addresses:
        return []
    told = path_update.move(sa, path, MoveReason.PEER_ADDRESS_GONE)
    sa.window.hasten(now)
    once(sa, UpdateAddresses())
    return [sa.log(Level.INFO, event_text.moved(path, path, MoveReason.PEER_ADDRESS_GONE)), *told]
