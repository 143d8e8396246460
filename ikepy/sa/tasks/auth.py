"""IKE_AUTH: who is who, and the first CHILD_SA (RFC 7296 1.2, 2.15, 2.16)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.crypto.auth import psk_auth, same
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError, UnheardError
from ikepy.sa.admission.auth_failures import Hearing
from ikepy.sa.api.effects import Effect, Level
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.unserved import Unserved
from ikepy.sa.exchange import child_negotiation, mismatch
from ikepy.sa.exchange.child_negotiation import ChildOffer, KeyExchangeResult
from ikepy.sa.message import error_handling, query
from ikepy.sa.message.error_handling import Exchange, Step
from ikepy.sa.negotiation.ts_request import Selectors
from ikepy.sa.state import sa_limits
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import End
from ikepy.sa.state.task import Answer, Task, TaskKind, outcomes
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.tasks import desired, mobike
from ikepy.sa.tasks.delete import DiscardSpi
from ikepy.wire.constants import AuthMethod, ExchangeType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.payloads import AuthPayload, DeletePayload, IdPayload, NotifyPayload, Payload, SaPayload


class AuthTask(Task[IkeSa]):
    """Our IKE_AUTH."""

    kind = TaskKind.AUTH
    exchange = ExchangeType.IKE_AUTH
    wanted: WantedChild

    def __init__(self, wanted: WantedChild) -> None:
        self.wanted = wanted
        self._offer: ChildOffer | None = None

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        sa.local_id = local_id = _local_id(sa)
        remote_id = sa.connection.remote.id
        psk = sa.registry.config.psk(local_id, remote_id or Identity.of_address(sa.path.remote.address))
        if psk is None:
            peer = remote_id or Identity.of_address(sa.path.remote.address)
            raise _failed(mismatch.no_secret(local_id, peer))
        self._offer = self._first_offer(sa)
        payloads: list[Payload] = [_id_payload(PayloadType.ID_I, local_id)]
        if sa.registry.is_first_contact(sa):
            payloads.append(NotifyPayload(NotifyType.INITIAL_CONTACT))
        if remote_id is not None and not remote_id.is_pattern:
            payloads.append(_id_payload(PayloadType.ID_R, remote_id))
        payloads.append(AuthPayload(AuthMethod.SHARED_KEY_MIC, _own_auth(sa, psk, local_id)))
        payloads += [*mobike.offer(sa), *sa.window_size()]
        return payloads if self._offer is None else [*payloads, *self._offer.payloads()]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        auth, id_r = query.maybe(payloads, AuthPayload), query.identity(payloads, PayloadType.ID_R)
        if auth is None or id_r is None:
            error = query.error(payloads)
            name = "an incomplete IKE_AUTH response" if error is None else query.error_name(error)
            raise PeerError(NotifyType.AUTHENTICATION_FAILED, f"the peer refused: {name}", fatal=True)
        refusal = error_handling.gravest(Exchange.IKE_AUTH, payloads)
        if refusal is not None and refusal[0] is Step.CLOSE:
            return self._close(sa, f"the peer refused: {query.error_name(refusal[1])}", now)
        remote_id = Identity(id_r.id_type, id_r.data)
        expected = sa.connection.remote.id
        psk = sa.registry.config.psk(sa.local_id, remote_id)
        if not remote_id.matches(expected):
            why = f"IDr: it is not {mismatch.identity(expected)}"
            return self._reject(sa, remote_id, why, now)
        if psk is None:
            return self._reject(sa, remote_id, mismatch.no_secret(sa.local_id, remote_id), now)
        if not _peer_proves(sa, psk, auth, id_r):
            why = mismatch.wrong_secret(sa.registry.config, psk, sa.local_id, remote_id)
            return self._reject(sa, remote_id, why, now)
        sa.remote_id = remote_id
        mobike.agree(sa, payloads)
        effects = sa.establish(now)
        if self._offer is None:
            desired.create(sa, self.wanted)
        else:
            effects += self._first_child(sa, self._offer, payloads, now)
        desired.create_others(sa)
        return effects

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return desired.failed(sa, self.wanted, reason) + desired.abandon(sa, reason)

    def _reject(self, sa: IkeSa, remote_id: Identity, why: str, now: float) -> list[Effect]:
        """RFC 7296 2.21.2: the initiator tells it in an INFORMATIONAL exchange of its own."""
        text = f"authentication of the peer {mismatch.identity(remote_id)} failed ({why})"
        effects = desired.failed(sa, self.wanted, text)
        effects += sa.send_unanswered([NotifyPayload(NotifyType.AUTHENTICATION_FAILED)], now)
        return effects + sa.kill(End.REFUSED, text, Level.ERROR)

    def _close(self, sa: IkeSa, text: str, now: float) -> list[Effect]:
        """RFC 7296 3.10.1: all of the request failed, though the peer may think that the IKE_SA stands."""
        effects = desired.failed(sa, self.wanted, text)
        effects += sa.send_unanswered([DeletePayload(ProtocolId.IKE, ())], now)
        return effects + sa.kill(End.REFUSED, text, Level.ERROR)

    def _first_offer(self, sa: IkeSa) -> ChildOffer | None:
        """The child of this IKE_AUTH, None if it goes without one (RFC 6023)."""
        policy = sa.connection.childless
        if policy == "force" and not sa.peer_childless:
            raise PeerError(
                NotifyType.INVALID_SYNTAX, "childless = force, which the peer does not support", fatal=True
            )
        if policy in ("force", "prefer") and sa.peer_childless:
            return None
        wanted = self.wanted
        return child_negotiation.offer(sa, wanted.config, key_exchange=False, ts_request=wanted.ts_request)

    def _first_child(
        self, sa: IkeSa, offer: ChildOffer, payloads: Sequence[Payload], now: float
    ) -> list[Effect]:
        result = KeyExchangeResult(sa.init.nonce_i, sa.init.nonce_r, (), we_started=True)
        try:
            child, effects = child_negotiation.conclude(sa, offer, payloads, result, now)
        except PeerError as error:
            if error.fatal:
                raise
            narrower = offer.narrower(payloads)
            if narrower is not None:
                self.wanted.ts_request = narrower
                desired.create(sa, self.wanted)
                return [sa.log(Level.INFO, child_negotiation.one_pair(self.wanted.config, narrower))]
            if query.maybe(payloads, SaPayload) is not None:  # the peer made what we did not ask for
                sa.enqueue(DiscardSpi(offer.spi_in))
            text = f"child {self.wanted.config.name}: {error}"
            return [*desired.failed(sa, self.wanted, text), sa.log(Level.ERROR, text)]
        text = f"CHILD_SA {child.config.name} #{child.child_id} is up"
        return effects + outcomes(self.wanted.tickets, True, text)


def respond(sa: IkeSa, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    """Answer the peer's IKE_AUTH; PeerError AUTHENTICATION_FAILED, the same whatever its cause."""
    id_i, auth = query.identity(payloads, PayloadType.ID_I), query.maybe(payloads, AuthPayload)
    if id_i is None:
        raise PeerError(NotifyType.INVALID_SYNTAX, "no IDi in IKE_AUTH", fatal=True)
    if auth is None:  # RFC 7296 2.16
        shown = mismatch.identity(Identity(id_i.id_type, id_i.data))
        raise _failed(
            f"the peer {shown} wants EAP, which is not supported: let it authenticate with a secret"
        )
    remote_id = Identity(id_i.id_type, id_i.data)
    asked = query.identity(payloads, PayloadType.ID_R)
    asked_id = None if asked is None else Identity(asked.id_type, asked.data)
    connection = sa.candidates.match(sa.keys.proposal, asked_id, remote_id, sa.path.local.address)
    named = connection is not None and _names(connection)
    hearing = _hearing(sa, remote_id, now, named=named)
    psk: Secret | None = None
    if connection is not None:
        sa.registry.assign(sa, connection)
        psk = sa.registry.config.psk(_local_id(sa), remote_id)
    # A peer that is not known costs as much as one with a wrong key, and hears the same.
    proven = _peer_proves(sa, psk or Secret(sa.registry.entropy.random(32)), auth, id_i)
    if connection is None or psk is None or not proven:
        if connection is None:
            why = mismatch.no_connection(sa.candidates.connections, remote_id, asked_id, _own_address(sa))
        elif psk is None:
            why = mismatch.no_secret(_local_id(sa), remote_id)
        else:
            why = mismatch.wrong_secret(sa.registry.config, psk, _local_id(sa), remote_id)
        text = f"authentication of the peer {mismatch.identity(remote_id)} failed ({why})"
        raise _failure(sa, remote_id, text, hearing, now, named=named)
    sa.registry.auth_failures.proven(_source(sa), remote_id, now)
    sa.local_id = local_id = _local_id(sa)
    sa.remote_id = remote_id
    if connection.unique == "keep" and sa.registry.duplicates(sa):
        raise _failed(f"an IKE_SA with {mismatch.identity(remote_id)} exists, and unique = keep")
    sa.initial_contact = query.notify(payloads, NotifyType.INITIAL_CONTACT) is not None
    sa_limits.check_ike_sa(sa)
    mobike.forbid_nats(payloads, path)
    mobike.agree(sa, payloads)
    own = AuthPayload(AuthMethod.SHARED_KEY_MIC, _own_auth(sa, psk, local_id))
    effects = sa.establish(now)
    child_effects, child_payloads = _respond_child(sa, payloads, now)
    more = mobike.offer(sa) if sa.mobike is not None else []
    answer = [_id_payload(PayloadType.ID_R, local_id), own, *child_payloads, *more, *sa.window_size()]
    return Answer(answer, effects + child_effects)


def _names(connection: Connection) -> bool:
    """Whether the configuration names the one peer of a connection."""
    return connection.remote.id is not None and not connection.remote.id.is_pattern


def _source(sa: IkeSa) -> Endpoint:
    """Where the peer sent its IKE_SA_INIT from."""
    return sa.init_remote or sa.path.remote


def _hearing(sa: IkeSa, remote_id: Identity, now: float, *, named: bool) -> Hearing:
    """UnheardError for one that has failed too often to be looked at."""
    hearing = sa.registry.auth_failures.hearing(_source(sa).address, remote_id, now, named=named)
    if hearing is Hearing.NONE:
        sa.registry.tally[Unserved.UNHEARD_AUTH] += 1
        who = mismatch.identity(remote_id)
        raise UnheardError(f"not heard: {who} has failed to authenticate too often from there")
    return hearing


def _failure(
    sa: IkeSa, remote_id: Identity, text: str, hearing: Hearing, now: float, *, named: bool
) -> PeerError | UnheardError:
    """What a failed attempt gets: AUTHENTICATION_FAILED, or no answer, and others later."""
    sa.registry.tally[Unserved.FAILED_AUTH] += 1
    wait = sa.registry.auth_failures.failed(_source(sa), remote_id, now, named=named)
    if wait:
        text += f"; no further attempt is heard for {wait:.0f} s"
    return _failed(text) if hearing is Hearing.FULL else UnheardError(text)


def _respond_child(sa: IkeSa, payloads: Sequence[Payload], now: float) -> tuple[list[Effect], list[Payload]]:
    """The first child; if it fails, the IKE_SA stands nevertheless (RFC 7296 1.2)."""
    childless, policy = query.maybe(payloads, SaPayload) is None, sa.connection.childless
    if childless != (policy == "force") and policy in ("never", "force"):
        text = f"IKE_AUTH {'without' if childless else 'with'} a child, and childless = {policy}"
        raise PeerError(NotifyType.INVALID_SYNTAX, text, fatal=True)
    if childless:
        return [], []
    result = KeyExchangeResult(sa.init.nonce_i, sa.init.nonce_r, (), we_started=False)
    try:
        choice = child_negotiation.choose(sa, payloads, key_exchange=False, only=None)
        # Over a reauthentication the older child goes on until the peer has heard of this one.
        standby = sa.registry.sends(sa.connection.name, Selectors(choice.ts_local, choice.ts_remote))
        _, effects, answer = child_negotiation.accept(sa, choice, result, now, standby=standby)
    except PeerError as error:
        if error_handling.when_sent(Exchange.IKE_AUTH, error.notify) is Step.END:
            raise
        return [sa.log(Level.ERROR, f"no first child: {error}")], [NotifyPayload(error.notify, error.data)]
    return effects, answer


def _local_id(sa: IkeSa) -> Identity:
    return sa.connection.local.id or _own_address(sa)


def _own_address(sa: IkeSa) -> Identity:
    return Identity.of_address(sa.path.local.address)


def _failed(text: str) -> PeerError:
    return PeerError(NotifyType.AUTHENTICATION_FAILED, text, fatal=True)


def _id_payload(type: PayloadType, identity: Identity) -> IdPayload:
    return IdPayload(type, identity.id_type, identity.data)


def _own_auth(sa: IkeSa, psk: Secret, local_id: Identity) -> bytes:
    init, keys = sa.init, sa.keys
    message, nonce = (init.request, init.nonce_r) if sa.initiator else (init.response, init.nonce_i)
    own = _id_payload(PayloadType.ID_I if sa.initiator else PayloadType.ID_R, local_id)
    return psk_auth(keys.suite.prf, psk, message, nonce, keys.sk_p_local, own.encode())


def _peer_proves(sa: IkeSa, psk: Secret, auth: AuthPayload, remote_id: IdPayload) -> bool:
    init, keys = sa.init, sa.keys
    message, nonce = (init.response, init.nonce_i) if sa.initiator else (init.request, init.nonce_r)
    expected = psk_auth(keys.suite.prf, psk, message, nonce, keys.sk_p_remote, remote_id.encode())
    return auth.method == AuthMethod.SHARED_KEY_MIC and same(auth.data, expected)
