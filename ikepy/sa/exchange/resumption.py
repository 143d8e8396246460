"""Tickets are asked for, granted, kept and given up (RFC 5723 4.1, 4.2, 6.2); `tasks.resume` uses them.

Only the end that began asks. However both ends proved who they are, a resumption does not repeat it: the
ticket has what was proven. So it is worth nothing once a certificate has expired or what is known of its
revocation is out of date, once an AAA server's session is over, and LONGEST after the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote, Connection
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.sa.api.effects import Effect
from ikepy.sa.api.ends import End
from ikepy.sa.exchange.ticket import ID_SIZE, MAX_SIZE, Ticket, sealed
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa, Registry
from ikepy.sa.state.resumption import MAX_TICKET, ClientTicket
from ikepy.wire.constants import NotifyType, Prf
from ikepy.wire.payloads import NotifyPayload, Payload
from ikepy.wire.writer import u32

# Seconds for which an IKE_SA can be resumed, again and again, without a full authentication.
LONGEST = 24 * 3600
_ANYBODY = Secret(bytes(32))
LEAST = 10  # seconds that a ticket has to be valid to be worth anything
MOST_GRANTED = 8  # valid tickets of an IKE_SA: its end takes them back
# Ends after which the peer may still be willing to resume; with any other the IKE_SA is over (6.2).
INTERRUPTED = (End.TIMEOUT, End.LOST_BY_PEER, End.RESTARTED, End.ADDRESS_GONE, End.FAULT)


# -- as client -------------------------------------------------------------------------------------


def request(sa: IkeSa) -> list[NotifyPayload]:
    """What asks for a ticket, if we want one."""
    wanted = sa.connection.resumption and sa.set_up.ours
    return [NotifyPayload(NotifyType.TICKET_REQUEST)] if wanted else []


def learn(sa: IkeSa, payloads: Sequence[Payload], now: float) -> None:
    """Keep a ticket that came under the protection of an established IKE_SA of ours (4.2)."""
    told = query.notify(payloads, NotifyType.TICKET_LT_OPAQUE)
    if told is None or not request(sa) or not 4 < len(told.data) <= MAX_TICKET:
        return
    if sa.local_id is None or sa.remote_id is None:
        return
    lifetime = int(min(int.from_bytes(told.data[:4], "big"), LONGEST, _left(sa, now)))
    if lifetime < LEAST:
        return
    sa.resumption.renew_at = now + lifetime / 2
    ticket = ClientTicket(
        told.data[4:],
        now + lifetime,
        Secret(sa.keys.schedule.keys.sk_d.expose()),
        replace(sa.keys.proposal, spi=b""),
        sa.local_id,
        sa.remote_id,
        sa.path.remote.address,
        sa.connection,
        sa.ike_id,
        ppk=sa.ppk,
        keeps_safe=sa.keeps_safe,
        proven_until=sa.proven_until,
    )
    sa.registry.tickets.put(ticket)


# -- as gateway ------------------------------------------------------------------------------------


def unix(registry: Registry, now: float) -> float:
    """The time that tickets are dated by, in seconds."""
    return registry.restart_keys.epoch + now


def fingerprint(
    registry: Registry, connection: Connection, local_id: Identity, remote_id: Identity, eap_id: str
) -> bytes | None:
    """Of the proofs that the configuration wants now, and of what verifies them: the secret, the CAs, the
    password of the user; None if there is no secret."""
    named = [f"{int(one.id_type)} {one.data.hex()}" for one in (local_id, remote_id)]
    others = connection.ppk_id, connection.ppk_required
    cas = [sorted(registry.credentials.cas(one)) for one in connection.remotes]
    wanted = f"{connection.locals!r} {connection.remotes!r} {others!r} {named} {eap_id!r} {cas}"
    function = prf(Prf.HMAC_SHA2_256)
    found = function.compute(_ANYBODY, b"ikepy resumption", wanted.encode())
    for ours, theirs in zip_longest(connection.locals, connection.remotes):
        if "psk" not in (ours and ours.auth.kind, theirs and theirs.auth.kind):
            continue
        psk = registry.config.psk(_of_round(ours, local_id), _of_round(theirs, remote_id))
        if psk is None:
            return None
        found = function.compute(psk, found)
    password = registry.secrets.user(eap_id) if eap_id else None
    if password is not None:
        found = function.compute(password.secret, found, bytes([password.hashed]))
        password.secret.wipe()
    return found


def _of_round(auth: AuthLocal | AuthRemote | None, first: Identity) -> Identity:
    """The identity of a round (RFC 4739): that of the first one, unless it has one of its own."""
    own = None if auth is None else auth.id
    return first if own is None or own.is_pattern else own


def grant(sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[NotifyPayload]:
    """The answer to a request for a ticket, which is valid as long as the configuration says, and not longer
    than the peer's authentication is (4.1)."""
    if query.notify(payloads, NotifyType.TICKET_REQUEST) is None:
        return []
    at = unix(sa.registry, now)
    granted = tuple(one for one in sa.resumption.granted if one[1] >= at)
    ticket = _made(sa, now) if len(granted) < MOST_GRANTED else None
    if ticket is None:
        return [NotifyPayload(NotifyType.TICKET_NACK)]
    registry = sa.registry
    data = sealed(ticket, registry.restart_keys.tickets[0], registry.entropy.random)
    if len(data) > MAX_SIZE:  # an AAA server has granted so much
        return [NotifyPayload(NotifyType.TICKET_NACK)]
    sa.resumption.granted = (*granted, (ticket.ticket_id, ticket.expires))
    lifetime = ticket.expires - int(at)
    return [NotifyPayload(NotifyType.TICKET_LT_OPAQUE, u32(lifetime) + data)]


def _made(sa: IkeSa, now: float) -> Ticket | None:
    registry, connection = sa.registry, sa.connection
    if sa.set_up.ours or not registry.restart_keys.tickets or not connection.resumption:
        return None
    if sa.local_id is None or sa.remote_id is None or not registry.is_current(connection):
        return None
    proof = fingerprint(registry, connection, sa.local_id, sa.remote_id, sa.eap_id)
    if proof is None:
        return None
    at = int(unix(registry, now))
    resumed = sa.resumption.resumed
    authenticated_at = at if resumed is None else resumed.authenticated_at
    if resumed is None and sa.established_at is not None:
        authenticated_at = int(unix(registry, sa.set_up.ended_at))
    expires = min(at + int(registry.config.daemon.ticket_lifetime), authenticated_at + LONGEST)
    expires = int(min(expires, at + _left(sa, now)))
    if expires - at < LEAST:
        return None
    return Ticket(
        registry.entropy.random(ID_SIZE),
        expires,
        authenticated_at,
        sa.spi_i,
        sa.spi_r,
        connection.name,
        proof,
        sa.remote_id,
        sa.local_id,
        sa.keys.schedule.keys.sk_d,
        replace(sa.keys.proposal, spi=b""),
        sa.ppk,
        sa.keeps_safe,
        sa.eap_id,
        replace(sa.granted, session_timeout=None),
        None if sa.authenticated_until is None else int(unix(registry, sa.authenticated_until)),
        None if sa.proven_until is None else int(sa.proven_until),
    )


def took_place(sa: IkeSa) -> list[Effect]:
    """As responder, once a resumed IKE_SA is established: the ticket is used up, and the IKE_SA before it, if
    it is still there, ends without a word (4.3.4)."""
    terms = sa.resumption.resumed
    if terms is None or sa.initiator or not terms.ticket_id:
        return []
    registry = sa.registry
    registry.used_tickets.add(terms.ticket_id, terms.expires)
    old = registry.by_spi.get(terms.old_spi)
    if old is None or old is sa or not old.established or old.remote_id != sa.remote_id:
        return []
    registry.changed_sas.append(old)
    return old.kill(End.RESTARTED, f"resumed as #{sa.ike_id}")


def is_used(sa: IkeSa, now: float) -> bool:
    """Whether the ticket of an IKE_SA that is being resumed was used meanwhile, by another one."""
    terms = sa.resumption.resumed
    if terms is None or not terms.ticket_id:
        return False
    return sa.registry.used_tickets.refuses(terms.ticket_id, unix(sa.registry, now))


# -- both ------------------------------------------------------------------------------------------


def _left(sa: IkeSa, now: float) -> float:
    """Seconds for which the authentication of both ends holds, at most (6.2)."""
    times = [at - now for at in (sa.reauth_at, sa.authenticated_until) if at is not None]
    if sa.proven_until is not None:
        times.append(sa.proven_until - unix(sa.registry, now))
    return max(min(times, default=float("inf")), 0.0)


def rekeyed(old: IkeSa, new: IkeSa) -> list[NotifyPayload]:
    """Give up the tickets of a rekeyed IKE_SA (6.2). Returns what asks for the next one, as client."""
    give_up(old)
    return request(new)


def ended(sa: IkeSa) -> None:
    """Give up the tickets of an IKE_SA that has ended, unless it was just interrupted (6.2, 9.8)."""
    if sa.end not in INTERRUPTED:
        give_up(sa)


def give_up(sa: IkeSa) -> None:
    """Nobody resumes this IKE_SA any more."""
    for ticket_id, expires in sa.resumption.granted:
        sa.registry.used_tickets.add(ticket_id, expires)
    sa.resumption.granted = ()
    sa.resumption.renew_at = None
    sa.registry.tickets.drop(sa.connection.name, sa.ike_id)
