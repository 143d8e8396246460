"""Exports an established IKE_SA with its children, for another machine to go on with.

Only what is settled can be exported: a half-open IKE_SA, one that rekeys or is to end, and one with a
request or a computation under way is refused (`obstacle`), and the caller asks again when that is over. Half
of a negotiation is worth nothing elsewhere: its private values, its tasks and the commands that wait for it
would all have to go along, only for the few seconds that it takes. Fragments of an incomplete message are
left behind: their sender repeats them all (RFC 7383 2.6). So are our last responses on IKE_SAs that have
ended: the other machine does not answer who repeats such a request, and that end gives up after its tries.
"""

from __future__ import annotations

from collections.abc import Mapping

from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret
from ikepy.eap.granted import Granted
from ikepy.errors import ExportRefusedError
from ikepy.sa.api.esp_state import EspState
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Path
from ikepy.sa.state.child_sa import ChildSa, ChildState, Standby
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.lifetime import Lifetime, TrafficLimit
from ikepy.sa.state.peer_addresses import Mobike
from ikepy.sa.state.resumption import ClientTicket, Terms
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.takeover.values import (
    ExportedChild,
    ExportedGranted,
    ExportedIkeSa,
    ExportedKeys,
    ExportedLifetime,
    ExportedLimit,
    ExportedMobike,
    ExportedNetwork,
    ExportedPath,
    ExportedRequest,
    ExportedResumption,
    ExportedSetUp,
    ExportedStandby,
    ExportedTerms,
    ExportedTicket,
    ExportedWindow,
)

_STEADY = (ChildState.INSTALLED, ChildState.DELETED)


def obstacle(sa: IkeSa) -> str:
    """Why it can't be exported now, for people; "" if it can."""
    if not sa.established:
        return f"it is {sa.phase.value}"
    if sa.is_ending or sa.reauth_due or sa.newly_up is not None:
        return "it is about to end, or to end others"
    if sa.conforms_to != sa.registry.generation:
        return "it does not conform to the configuration yet"
    if sa.tasks.all or sa.jobs.tickets or not sa.window.settled or sa.followups.deadline is not None:
        return "an exchange is under way or waits for its turn"
    if any(wanted.tickets for _, wanted in sa.desired.due) or sa.desired.waiting:
        return "a command waits for a child"
    if sa.connection.reauth_time and sa.reauth_at is None:
        return "it is being reauthenticated"
    preferred = sa.replacing.yields_to
    yields = preferred is not None and preferred.successor.established
    replaced = sa.replaced or sa.registry.is_being_replaced(sa)
    if sa.collides_with or sa.superseded or replaced or sa.replacing.settles_at is not None or yields:
        return "it or another IKE_SA of the same peer is to go"
    for child in sa.children.values():
        if child.lost or child.state not in _STEADY:
            state = "lost" if child.lost else child.state.value
            return f"child {child.config.name} #{child.child_id} is {state}"
    return ""


def export(sa: IkeSa, states: Mapping[int, EspState], now: float) -> ExportedIkeSa:
    """The IKE_SA as a value. `states`: by child_id, of every child that a worker holds: a deleted
    one that none holds any more is left behind.

    From now on whoever restores it sends under its keys, and this machine must not: the message IDs, which go
    on there, would have two meanings. ExportRefusedError if it can't be exported now or a state is missing.
    """
    why = obstacle(sa)
    if why:
        raise ExportRefusedError(f"IKE_SA #{sa.ike_id} can't be exported: {why}")
    for child in sa.children.values():
        if child.in_use and child.child_id not in states:
            text = f"the worker's state of child {child.config.name} #{child.child_id} is missing"
            raise ExportRefusedError(f"IKE_SA #{sa.ike_id} can't be exported: {text}")
    kept = sa.kept_path
    return ExportedIkeSa(
        connection=sa.connection.name,
        initiator=sa.initiator,
        spi_i=sa.spi_i,
        spi_r=sa.spi_r,
        proposal=sa.keys.proposal,
        keys=_keys(sa),
        window=_window(sa),
        last_answered=sa.last_answered,
        path=_path(sa.path),
        children_path=None if kept is None else _path(kept),
        nat_supported=sa.nat.supported,
        nat_local=sa.nat.local,
        nat_remote=sa.nat.remote,
        fragmentation=sa.fragmentation,
        follows_redirects=sa.redirection.followed_by_peer,
        ppk=sa.ppk,
        quantum_safe=sa.quantum_safe,
        keeps_safe=sa.keeps_safe,
        mobike=None if sa.mobike is None else _mobike(sa.mobike),
        stranded=sa.stranded,
        network=_network(sa.network),
        local_id=_known(sa, sa.local_id),
        remote_id=_known(sa, sa.remote_id),
        eap_id=sa.eap_id,
        granted=_granted(sa.granted),
        proven_until=sa.proven_until,
        established=_since(sa.established_at, now),
        heard=_since(sa.heard_at, now),
        sent=_since(sa.sent_at, now),
        busy=None if sa.busy_at == float("-inf") else sa.busy_at - now,
        lifetime=_lifetime(sa.lifetime, now),
        reauth_in=_until(sa.reauth_at, now),
        authenticated_for=_until(sa.authenticated_until, now),
        resumption=_resumption(sa, now),
        crash_tokens=sa.crash_tokens,
        set_up=_set_up(sa, now),
        first_after_auth=sa.first_after_auth,
        purpose=tuple(sa.desired.purpose),
        unmet=tuple(sa.desired.unmet),
        bounced=tuple(sa.desired.bounced.items()),
        requests=tuple(_request(wanted, due - now) for due, wanted in sa.desired.due),
        children=tuple(
            _child(child, states[child.child_id], now)
            for child in sa.children.values()
            if child.child_id in states
        ),
    )


def _known(sa: IkeSa, identity: Identity | None) -> Identity:
    if identity is None:
        raise ExportRefusedError(f"IKE_SA #{sa.ike_id} can't be exported: an identity is not known")
    return identity


def _since(at: float | None, now: float) -> float:
    return 0.0 if at is None else at - now


def _until(at: float | None, now: float) -> float | None:
    return None if at is None else at - now


def _keys(sa: IkeSa) -> ExportedKeys:
    keys = sa.keys.schedule.keys
    return ExportedKeys(
        _copy(keys.sk_d),
        _copy(keys.sk_ai),
        _copy(keys.sk_ar),
        _copy(keys.sk_ei),
        _copy(keys.sk_er),
        _copy(keys.sk_pi),
        _copy(keys.sk_pr),
        sa.keys.cipher_out.next_iv,
    )


def _copy(key: Secret) -> Secret:
    """The value keeps its keys when this machine wipes its own, as it ends what it has handed over."""
    return Secret(key.expose())


def _window(sa: IkeSa) -> ExportedWindow:
    state = sa.window.state()
    replies = tuple(state.replies.items())
    return ExportedWindow(state.next_request, state.most_ours, state.expected, state.most_theirs, replies)


def _path(path: Path) -> ExportedPath:
    return ExportedPath(path.local.address, path.local.port, path.remote.address, path.remote.port)


def _mobike(mobike: Mobike) -> ExportedMobike:
    return ExportedMobike(
        initiator=mobike.initiator,
        local=mobike.local,
        remote=mobike.remote,
        worked=tuple(map(_path, mobike.worked)),
        searching=mobike.searching,
        probed=mobike.probed,
        seen_as=mobike.seen_as,
    )


def _network(settings: NetworkSettings) -> ExportedNetwork:
    return ExportedNetwork(
        settings.addresses,
        settings.subnets,
        settings.dns_servers,
        settings.domains,
        settings.encrypted_dns,
        settings.leases,
    )


def _granted(granted: Granted) -> ExportedGranted:
    return ExportedGranted(
        granted.user,
        granted.addresses,
        granted.dns_servers,
        granted.session_timeout,
        granted.classes,
        granted.interim,
    )


def _resumption(sa: IkeSa, now: float) -> ExportedResumption:
    own = sa.resumption
    ticket = sa.registry.tickets.held(sa.connection, sa.ike_id)
    return ExportedResumption(
        resumed=None if own.resumed is None else _terms(own.resumed),
        granted=own.granted,
        renew_in=_until(own.renew_at, now),
        ticket=None if ticket is None else _ticket(ticket, now),
    )


def _terms(terms: Terms) -> ExportedTerms:
    return ExportedTerms(
        terms.local_id,
        terms.remote_id,
        terms.authenticated_at,
        terms.ticket_id,
        terms.expires,
        terms.old_spi,
    )


def _ticket(ticket: ClientTicket, now: float) -> ExportedTicket:
    return ExportedTicket(
        data=ticket.data,
        expires_in=ticket.expires_at - now,
        sk_d=_copy(ticket.sk_d),
        proposal=ticket.proposal,
        gateway=ticket.gateway,
        tries=ticket.tries,
        ppk=ticket.ppk,
        keeps_safe=ticket.keeps_safe,
        proven_until=ticket.proven_until,
    )


def _lifetime(lifetime: Lifetime, now: float) -> ExportedLifetime:
    return ExportedLifetime(
        _until(lifetime.rekey_at, now), _until(lifetime.expires_at, now), lifetime.failures
    )


def _set_up(sa: IkeSa, now: float) -> ExportedSetUp:
    first = sa.set_up
    began, ended = first.began_at - now, first.ended_at - now
    return ExportedSetUp(first.ours, began, ended, first.lowest_nonce, first.again, first.bounces)


def _request(wanted: WantedChild, due_in: float) -> ExportedRequest:
    request = wanted.ts_request
    packet = None if request.packet is None else (request.packet.local, request.packet.remote)
    within = None if request.within is None else (request.within.local, request.within.remote)
    return ExportedRequest(wanted.config.name, due_in, packet, within, request.alone)


def _child(child: ChildSa, state: EspState, now: float) -> ExportedChild:
    return ExportedChild(
        name=child.config.name,
        proposal=child.proposal,
        spi_in=child.spi_in,
        spi_out=child.spi_out,
        keys_in=_copy(child.keys_in),
        keys_out=_copy(child.keys_out),
        last_sequence=state.last_sequence,
        replay_top=state.replay_top,
        standby=state.standby,
        ts_local=child.ts_local,
        ts_remote=child.ts_remote,
        trapped=child.trapped,
        encap=child.encap,
        tfc_padding=child.tfc_padding,
        quantum_safe=child.quantum_safe,
        installed=child.installed_at - now,
        lifetime=_lifetime(child.lifetime, now),
        bytes_left=_left(child.bytes, state.octets),
        packets_left=_left(child.packets, state.packets),
        deleted=child.state is ChildState.DELETED,
        remove_in=_until(child.remove_at, now),
        waiting=_standby(child.waiting, now),
    )


def _standby(waiting: Standby | None, now: float) -> ExportedStandby | None:
    if waiting is None:
        return None
    return ExportedStandby(waiting.look_at - now, waiting.message_id, waiting.first)


def _left(limit: TrafficLimit, used: int) -> ExportedLimit:
    """The worker that goes on counts from 0. At least 1, as 0 is no limit."""
    return ExportedLimit(
        rekey=max(limit.rekey - used, 1) if limit.rekey else 0,
        hard=max(limit.hard - used, 1) if limit.hard else 0,
    )
