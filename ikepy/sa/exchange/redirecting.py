"""REDIRECT in both roles: what we announce, where we let ourselves be sent, whom we send away (RFC 5685).

Only the responder of the first set-up sends its initiator away (10). A redirect changes nothing but the
address: identities, secrets and selectors are those of the connection, wherever we are sent (3).
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from ikepy.config.model import Connection, DnsName
from ikepy.errors import PeerError, WireError
from ikepy.sa.admission import connection_match
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.ends import End
from ikepy.sa.api.path import Address
from ikepy.sa.auth.authenticator import More, Step
from ikepy.sa.message import query
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.lifetime import Lifetime
from ikepy.sa.state.phase import Phase
from ikepy.sa.state.redirect import Redirect
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import AuthPayload, EapPayload, NotifyPayload, Payload
from ikepy.wire.redirect import Gateway, decode_gateway, encode_gateway

# Seconds that a client has to delete an IKE_SA whose IKE_AUTH sent it away, before we do.
LINGER = 10.0

# -- as client -------------------------------------------------------------------------------------


def announced(sa: IkeSa) -> list[Payload]:
    """What our IKE_SA_INIT says: that we follow redirects, or who sent us here (9.1, 9.3)."""
    by = sa.redirection.came_from
    if by is not None:
        return [NotifyPayload(NotifyType.REDIRECTED_FROM, encode_gateway(by))]
    return [NotifyPayload(NotifyType.REDIRECT_SUPPORTED)] if _may_follow(sa.connection) else []


def _may_follow(connection: Connection) -> bool:
    """Whether the configuration knows any other gateway than the one that we begin with."""
    if connection.redirect != "configured":
        return connection.redirect == "follow"
    alone = len(connection.remote_addrs) == 1 and connection_match.is_single(connection.remote_addrs[0])
    return not alone


def told(
    sa: IkeSa, payloads: Sequence[Payload], now: float, *, nonce: bytes | None = None
) -> Redirect | None:
    """Where the gateway sends us; None: it does not.

    `nonce`: ours, which has to be in an unprotected redirect (3), and in no protected one (9.2). PeerError if
    we don't go there: the caller knows what to do without the gateway.
    """
    notify = query.notify(payloads, NotifyType.REDIRECT)
    if notify is None:
        return None
    try:
        name, echoed = decode_gateway(notify.data)
    except WireError as error:
        raise PeerError(NotifyType.INVALID_SYNTAX, f"a malformed redirect: {error}") from None
    if not compare_digest(echoed, b"" if nonce is None else nonce):
        raise PeerError(NotifyType.INVALID_SYNTAX, f"a redirect to {name} with a wrong nonce")
    gateway = _gateway(name)
    why = _refused(sa, gateway)
    if why:
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, f"the peer sends us to {gateway}: {why}")
    if not sa.registry.redirects.follow(sa.connection.name, now):
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, f"the peer sends us to {gateway}: once too often")
    return Redirect(gateway, sa.path.remote.address)


def _gateway(name: Gateway) -> Address | DnsName:
    if not isinstance(name, str):
        return name
    found = DnsName.of(name)
    if found is None:
        raise PeerError(NotifyType.INVALID_SYNTAX, "a redirect to what is no DNS name")
    return found


def _refused(sa: IkeSa, gateway: Address | DnsName) -> str:
    """Why the policy does not let us go there; "" if it does."""
    connection = sa.connection
    if not sa.set_up.ours:
        return "but it is the one that began (RFC 5685 10)"
    if connection.redirect == "never":
        return "redirect = never"
    if not isinstance(gateway, DnsName):
        if gateway == sa.path.remote.address:
            return "where we are"
        if not _is_host(gateway):
            return "no address of a gateway"
    if connection.redirect == "configured" and not _permits(sa, gateway):
        return 'which remote_addrs does not permit (redirect = "follow" would)'
    return ""


def _is_host(address: Address) -> bool:
    """Whether another host can have it."""
    if address.version == 4 and address.is_reserved:  # broadcast among them
        return False
    return not (
        address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local
    )


def _permits(sa: IkeSa, gateway: Address | DnsName) -> bool:
    patterns = sa.connection.remote_addrs
    if isinstance(gateway, DnsName):
        return gateway in patterns
    return connection_match.permits(patterns, gateway, sa.registry.names)


def leave(sa: IkeSa, redirect: Redirect, wanted: WantedChild | None = None) -> list[Effect]:
    """End a set-up that is to go on elsewhere, with its children and the commands that wait for them.

    `wanted`: the child of the IKE_AUTH under way.
    """
    under_way = [] if wanted is None or wanted.given_up else [wanted]
    waiting = [*under_way, *sa.desired.waiting]
    sa.desired.waiting.clear()
    tickets = tuple(ticket for one in waiting for ticket in one.tickets)
    for one in waiting:
        one.tickets.clear()
    packet = next((one.ts_request.packet for one in waiting if one.ts_request.packet is not None), None)
    names = tuple(one.config.name for one in waiting)
    sa.redirection.to = Redirect(redirect.gateway, redirect.by, names, tickets, packet)
    return sa.kill(End.REDIRECTED, f"{redirect.by} sends us to {redirect.gateway}")


def heard(sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
    """Note a redirect in an INFORMATIONAL request (5): `lifecycle.reauthentication` goes there, and deletes
    this IKE_SA once its children are up at the new gateway."""
    if sa.phase is not Phase.ESTABLISHED:
        return []
    try:
        redirect = told(sa, payloads, now)
    except PeerError as error:
        return [sa.log(Level.WARNING, f"ignored a redirect: {error}")] if sa.report_rate.allow(now) else []
    if redirect is None:
        return []
    sa.redirection.to = redirect
    sa.reauth_due = True
    return [sa.log(Level.INFO, f"the peer sends us to {redirect.gateway}")]


# -- as gateway ------------------------------------------------------------------------------------


def is_supported(payloads: Sequence[Payload]) -> bool:
    """Whether the IKE_SA_INIT of a client says that it follows redirects (9.1, 9.3)."""
    return any(
        query.notify(payloads, one) is not None
        for one in (NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECTED_FROM)
    )


def notify_of(gateway: Address | DnsName, nonce: bytes = b"") -> NotifyPayload:
    """The REDIRECT notify. `nonce`: the client's, in an answer to its IKE_SA_INIT."""
    name = gateway.text if isinstance(gateway, DnsName) else gateway
    return NotifyPayload(NotifyType.REDIRECT, encode_gateway(name, nonce))


def elsewhere(
    gateway: Address | DnsName | None, payloads: Sequence[Payload], local: Address
) -> Address | DnsName | None:
    """The gateway to which a client is sent whose IKE_SA_INIT came to `local`; None: it is served.

    None also for the client that this very gateway has sent here, so that two of them are no loop, and for
    one that is there already, as behind an anycast address (4).
    """
    if gateway is None or gateway == local or not is_supported(payloads):
        return None
    sender = query.notify(payloads, NotifyType.REDIRECTED_FROM)
    if sender is None:
        return gateway
    try:
        return None if decode_gateway(sender.data)[0] == gateway else gateway
    except WireError:
        return gateway


def before_eap(
    sa: IkeSa, connection: Connection | None, request: Sequence[Payload], step: Step, *, named: bool
) -> list[Payload] | None:
    """What sends a client away that wants EAP: beside our proof, by the identity that it just claims (6).

    None: it is served, or sent away once it is authenticated, as is everybody whose identity the
    configuration names: strangers would find out that way which identities there are.
    """
    if connection is None or named or sa.auth_round is not None or not isinstance(step, More):
        return None
    gateway = connection.redirect_to
    if gateway is None or gateway == sa.path.local.address or not sa.redirection.followed_by_peer:
        return None
    proof = query.maybe(step.payloads, AuthPayload)
    if proof is None or query.maybe(request, AuthPayload) is not None:
        return None
    return [*(one for one in step.payloads if not isinstance(one, EapPayload)), notify_of(gateway)]


def forget_soon(sa: IkeSa, now: float) -> list[Effect]:
    """There is no IKE_SA with a client that was sent away before EAP: it need not delete it."""
    sa.announced_end = End.REDIRECTED
    sa.connecting.give_up_at = now + LINGER
    return [sa.log(Level.INFO, f"sent to {sa.connection.redirect_to} before EAP")]


def send_away(sa: IkeSa, gateway: Address | DnsName, now: float) -> list[Effect]:
    """Leave a client that has just authenticated the time to delete the IKE_SA, which gets no child (6)."""
    sa.enter(Phase.ESTABLISHED)
    sa.announced_end = End.REDIRECTED
    sa.lifetime = Lifetime(expires_at=now + LINGER)
    return [sa.log(Level.INFO, f"sent to {gateway}")]
