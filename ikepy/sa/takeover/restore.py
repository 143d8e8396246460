"""Builds an exported IKE_SA and its children up in this machine (RFC 7296 2.1, 2.2; RFC 4303 3.3.3, 3.4.3).

No nonce repeats: an IKE message gets an IV that the exporting machine can't have reached, and each outbound
SA starts behind the last sequence number that was used under its key. An export may be restored once: whoever
restores it in two machines has both send the same IVs and sequence numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Connection
from ikepy.crypto.algorithms import has_nonces
from ikepy.crypto.key_schedule import IkeKeys, KeySchedule
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import Granted
from ikepy.errors import LocalMisuse, PeerError, RestoreRefusedError
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.events import IkeUp
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message.window import WindowState
from ikepy.sa.negotiation.nat import Nat
from ikepy.sa.negotiation.ts_request import Pair, Selectors, TsRequest
from ikepy.sa.state.child_sa import ChildSa, ChildState, Standby, esp_suite, uses_esn
from ikepy.sa.state.ike_keys import IkeSaKeys, ike_sa_keys, suite_of
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.lifetime import Lifetime, TrafficLimit
from ikepy.sa.state.peer_addresses import Mobike
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.resumption import ClientTicket, Resumption, Terms
from ikepy.sa.state.set_up import SetUp
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.takeover.values import (
    ExportedChild,
    ExportedGranted,
    ExportedIkeSa,
    ExportedLifetime,
    ExportedLimit,
    ExportedMobike,
    ExportedPath,
    ExportedRequest,
    ExportedResumption,
    ExportedStandby,
    ExportedTicket,
    ExportedWindow,
)

# IVs are counted in 64 bits. So many are left out, for what the exporting machine still sends if it goes on
# though it should not: more messages than any IKE_SA has.
IV_MARGIN = 1 << 32
_ESP_LAST = {False: (1 << 32) - 1, True: (1 << 64) - 1}  # without and with ESN


def restore(registry: Registry, exported: ExportedIkeSa, now: float) -> tuple[IkeSa, list[Effect]]:
    """The registered IKE_SA, and the effects that install its children: every inbound SA before the first
    outbound one, and of these the oldest first, as a worker sends under the newest of one policy.

    RestoreRefusedError if the configuration lacks the connection or a child, no longer permits the peer, or
    an SPI is in use; then nothing has changed.
    """
    connection = _connection(registry, exported)
    keys = _keys(exported)
    _check_ticket(exported.resumption.ticket)
    path = _path(exported.path)
    # Late packets of a child that is deleted, and configured no more, are of no use.
    exports = [child for child in exported.children if not child.deleted or child.name in connection.children]
    taken = set(registry.inbound_spis)
    for child in exports:
        _check(connection, child)
        if child.spi_in in taken:
            raise RestoreRefusedError(
                f"child {child.name}: the inbound SPI {child.spi_in:08x} is in use here"
            )
        taken.add(child.spi_in)
    if bytes(8) in (exported.spi_i, exported.spi_r):
        raise RestoreRefusedError("an IKE SPI is zero")
    sa = IkeSa(
        registry,
        connection,
        path,
        spi_i=exported.spi_i,
        spi_r=exported.spi_r,
        initiator=exported.initiator,
    )
    if sa.spi_local in registry.by_spi:
        raise RestoreRefusedError(f"the IKE SPI {sa.spi_local.hex()} is in use here")
    _fill(sa, exported, now)
    sa.set_keys(keys)
    sa.enter(Phase.ESTABLISHED)
    children = [_child(child, connection, registry.next_child_id(), now) for child in exports]
    registry.add(sa)
    for made in children:
        sa.children[made.child_id] = made
        registry.add_child(sa, made)
    _resume_tickets(sa, exported.resumption, now)
    network = exported.network
    settings = NetworkSettings(
        network.addresses,
        network.subnets,
        network.dns_servers,
        network.domains,
        network.encrypted_dns,
        network.leases,
    )
    return sa, [*sa.set_network(settings), *_installed(sa, exports)]


def _connection(registry: Registry, exported: ExportedIkeSa) -> Connection:
    connection = registry.config.connections.get(exported.connection)
    if connection is None:
        raise RestoreRefusedError(f"no connection {exported.connection}")
    for which, identity, permitted in (
        ("local", exported.local_id, connection.local.id),
        ("remote", exported.remote_id, connection.remote.id),
    ):
        if not identity.matches(permitted):
            raise RestoreRefusedError(
                f"connections.{connection.name}.{which}.id is {permitted}, the IKE_SA's is {identity}"
            )
    return connection


def _keys(exported: ExportedIkeSa) -> IkeSaKeys:
    exported_keys = exported.keys
    named = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    secrets = {name: Secret(getattr(exported_keys, name).expose()) for name in named}
    try:
        suite = suite_of(exported.proposal)
        if len(exported_keys.sk_d) != prf(suite.prf).size:
            raise LocalMisuse("SK_d has a wrong length for its algorithm")
        if has_nonces(suite.encr) is (exported_keys.next_iv is None):
            raise LocalMisuse("a counter of IVs belongs to an AEAD, and to nothing else")
        schedule = KeySchedule(suite, IkeKeys(**secrets))
        first_iv = 0 if exported_keys.next_iv is None else exported_keys.next_iv + IV_MARGIN
        return ike_sa_keys(exported.proposal, schedule, exported.initiator, first_iv=first_iv)
    except LocalMisuse as error:
        raise RestoreRefusedError(f"the IKE_SA's keys: {error}") from None


def _check_ticket(ticket: ExportedTicket | None) -> None:
    """Refuse a ticket with which nothing could be resumed."""
    if ticket is None:
        return
    try:
        size = prf(suite_of(ticket.proposal).prf).size
    except LocalMisuse as error:
        raise RestoreRefusedError(f"the IKE_SA's ticket: {error}") from None
    if len(ticket.sk_d) != size:
        raise RestoreRefusedError("the IKE_SA's ticket: SK_d has a wrong length for its algorithm")


def _check(connection: Connection, child: ExportedChild) -> None:
    """Refuse a child that can't be installed."""
    if child.name not in connection.children:
        raise RestoreRefusedError(f"no child {connection.name}.{child.name}")
    try:
        suite = esp_suite(child.proposal)
    except PeerError as error:
        raise RestoreRefusedError(f"child {child.name}: {error}") from None
    if not suite.key_length == len(child.keys_in) == len(child.keys_out):
        raise RestoreRefusedError(f"child {child.name}: keys of a wrong length for {suite}")
    if int.from_bytes(child.proposal.spi, "big") != child.spi_out:
        raise RestoreRefusedError(f"child {child.name}: two outbound SPIs")
    last = _ESP_LAST[uses_esn(child.proposal)]
    if max(child.last_sequence, child.replay_top) > last:
        raise RestoreRefusedError(f"child {child.name}: a sequence number beyond {last}")


def _fill(sa: IkeSa, exported: ExportedIkeSa, now: float) -> None:
    """All that is the IKE_SA's own, with times on this machine's clock."""
    kept = exported.children_path
    sa.kept_path = None if kept is None else _path(kept)
    sa.nat = Nat(exported.nat_supported, exported.nat_local, exported.nat_remote)
    sa.fragmentation = exported.fragmentation
    sa.redirection.followed_by_peer = exported.follows_redirects
    sa.ppk = exported.ppk
    sa.quantum_safe, sa.keeps_safe = exported.quantum_safe, exported.keeps_safe
    sa.mobike = None if exported.mobike is None else _mobike(exported.mobike)
    sa.stranded = exported.stranded
    sa.local_id, sa.remote_id = exported.local_id, exported.remote_id
    sa.eap_id, sa.granted = exported.eap_id, _granted(exported.granted)
    sa.proven_until = exported.proven_until
    sa.crash_tokens = exported.crash_tokens
    sa.established_at = now + exported.established
    sa.heard_at, sa.sent_at = now + exported.heard, now + exported.sent
    sa.busy_at = float("-inf") if exported.busy is None else now + exported.busy
    sa.lifetime = _lifetime(exported.lifetime, now)
    sa.reauth_at = _at(exported.reauth_in, now)
    sa.authenticated_until = _at(exported.authenticated_for, now)
    first = exported.set_up
    sa.set_up = SetUp(
        first.ours, now + first.began, now + first.ended, first.lowest_nonce, first.again, first.bounces
    )
    sa.first_after_auth = exported.first_after_auth
    sa.last_answered = exported.last_answered
    sa.window.go_on(_window(exported.window))
    configured = sa.connection.children
    sa.desired.purpose = [name for name in exported.purpose if name in configured]
    sa.desired.unmet = dict.fromkeys(name for name in exported.unmet if name in configured)
    sa.desired.bounced = {name: count for name, count in exported.bounced if name in configured}
    sa.desired.due = [
        (now + request.due_in, _wanted(sa.connection, request))
        for request in exported.requests
        if request.child in configured
    ]


def _granted(granted: ExportedGranted) -> Granted:
    return Granted(
        granted.user,
        granted.addresses,
        granted.dns_servers,
        granted.session_timeout,
        granted.classes,
        granted.interim,
    )


def _resume_tickets(sa: IkeSa, resumption: ExportedResumption, now: float) -> None:
    """Go on with the IKE_SA's tickets: the one that we hold, and those that its end takes back; the one by
    which it was resumed has been used (RFC 5723 4.3.4, 6.2)."""
    terms = resumption.resumed
    sa.resumption = Resumption(
        None
        if terms is None
        else Terms(
            terms.local_id,
            terms.remote_id,
            terms.authenticated_at,
            terms.ticket_id,
            terms.expires,
            terms.old_spi,
        ),
        resumption.granted,
        _at(resumption.renew_in, now),
    )
    if terms is not None and terms.ticket_id:
        sa.registry.used_tickets.add(terms.ticket_id, terms.expires)
    ticket = resumption.ticket
    if ticket is None or sa.local_id is None or sa.remote_id is None:
        return
    held = ClientTicket(
        ticket.data,
        now + ticket.expires_in,
        Secret(ticket.sk_d.expose()),
        ticket.proposal,
        sa.local_id,
        sa.remote_id,
        ticket.gateway,
        sa.connection,
        sa.ike_id,
        ticket.tries,
        ticket.ppk,
        ticket.keeps_safe,
        ticket.proven_until,
    )
    sa.registry.tickets.put(held)


def _window(window: ExportedWindow) -> WindowState:
    replies = dict(window.replies)
    return WindowState(window.next_request, window.most_ours, window.expected, window.most_theirs, replies)


def _at(seconds: float | None, now: float) -> float | None:
    return None if seconds is None else now + seconds


def _lifetime(lifetime: ExportedLifetime, now: float) -> Lifetime:
    return Lifetime(_at(lifetime.rekey_in, now), _at(lifetime.expires_in, now), lifetime.failures)


def _limit(left: ExportedLimit) -> TrafficLimit:
    return TrafficLimit(left.rekey, left.hard)


def _path(path: ExportedPath) -> Path:
    return Path(Endpoint(path.local, path.local_port), Endpoint(path.remote, path.remote_port))


def _mobike(mobike: ExportedMobike) -> Mobike:
    return Mobike(
        initiator=mobike.initiator,
        local=mobike.local,
        remote=mobike.remote,
        worked=tuple(map(_path, mobike.worked)),
        searching=mobike.searching,
        probed=mobike.probed,
        seen_as=mobike.seen_as,
    )


def _wanted(connection: Connection, request: ExportedRequest) -> WantedChild:
    packet = None if request.packet is None else Pair(*request.packet)
    within = None if request.within is None else Selectors(*request.within)
    ts_request = TsRequest(packet, within, request.alone)
    return WantedChild(connection.children[request.child], ts_request=ts_request)


def _child(exported: ExportedChild, connection: Connection, child_id: int, now: float) -> ChildSa:
    return ChildSa(
        child_id=child_id,
        config=connection.children[exported.name],
        proposal=exported.proposal,
        spi_in=exported.spi_in,
        spi_out=exported.spi_out,
        keys_in=Secret(exported.keys_in.expose()),
        keys_out=Secret(exported.keys_out.expose()),
        ts_local=exported.ts_local,
        ts_remote=exported.ts_remote,
        encap=exported.encap,
        installed_at=now + exported.installed,
        lifetime=_lifetime(exported.lifetime, now),
        bytes=_limit(exported.bytes_left),
        packets=_limit(exported.packets_left),
        state=ChildState.DELETED if exported.deleted else ChildState.INSTALLED,
        trapped=exported.trapped,
        tfc_padding=exported.tfc_padding,
        quantum_safe=exported.quantum_safe,
        remove_at=_at(exported.remove_in, now),
        waiting=_standby(exported.waiting, now),
    )


def _standby(exported: ExportedStandby | None, now: float) -> Standby | None:
    if exported is None:
        return None
    return Standby(now + exported.look_in, exported.message_id, exported.first)


def _installed(sa: IkeSa, exported: Sequence[ExportedChild]) -> list[Effect]:
    name, path = sa.connection.name, sa.children_path
    inbound: list[Effect] = []
    outbound: list[Effect] = []
    told: list[Effect] = []
    for child, was in zip(sa.children.values(), exported, strict=True):
        inbound.append(child.install_inbound(name, path, replay_top=was.replay_top))
        if was.deleted:
            continue
        outbound.append(
            child.install_outbound(name, path, standby=was.standby, last_sequence=was.last_sequence)
        )
        spis = f"{child.spi_in:08x}_i {child.spi_out:08x}_o"
        text = f"CHILD_SA {child.config.name} #{child.child_id} restored, spis {spis}"
        told += [*sa.child_up(child), sa.log(Level.INFO, text)]
    sa.announced = True
    text = f"{sa.local_id} at {sa.path.local} === {sa.remote_id} at {sa.path.remote}"
    return [
        *inbound,
        *outbound,
        IkeUp(sa.itself),
        sa.log(Level.INFO, f"IKE_SA restored, {text}"),
        *told,
    ]
