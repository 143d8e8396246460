"""The responder's side of a CREATE_CHILD_SA for a child (RFC 7296 1.3.1, 1.3.3, RFC 9370 2.2.4).

The child is made at once, or by the last IKE_FOLLOWUP_KE if additional key exchanges were agreed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange import child_negotiation
from ikepy.sa.exchange.child_negotiation import ChildChoice, KeyExchangeResult
from ikepy.sa.message import query
from ikepy.sa.negotiation.collision import Nonces
from ikepy.sa.state import sa_limits
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.followups import Followup, GiveUp
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE
from ikepy.sa.state.task import Answer
from ikepy.sa.tasks import followup_ke
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NoncePayload, Payload


@dataclass(frozen=True, slots=True)
class Created:
    """What a child is made of once all key exchanges are done."""

    choice: ChildChoice
    spi_in: int
    nonces: Nonces
    secrets: Sequence[Secret]

    def install(self, sa: IkeSa, now: float, *, standby: bool) -> tuple[ChildSa, list[Effect]]:
        """Make the child, and the effects that install it."""
        result = KeyExchangeResult(
            self.nonces.initiator, self.nonces.responder, tuple(self.secrets), we_started=False
        )
        return child_negotiation.accept(sa, self.choice, self.spi_in, result, now, standby=standby)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to CREATE_CHILD_SA. `nonces`: of an exchange that goes on; None if the child is made."""

    answer: Answer
    nonces: Nonces | None


# Makes the child; PeerError if that can't be any more. Gives the effects that are to run before the response.
Made = Callable[[Created, float], list[Effect]]


def _nothing(now: float) -> list[Effect]:
    return []


def respond(
    sa: IkeSa,
    choice: ChildChoice,
    payloads: Sequence[Payload],
    now: float,
    made: Made,
    *,
    replaces: int | None = None,
    give_up: GiveUp = _nothing,
) -> Response:
    """Do the key exchange (PFS), and have the child made now or after those that follow.

    `replaces`: the child_id of the child that is rekeyed. `give_up`: what to do if the peer does not go on.
    PeerError as `key_exchange.answer`; may raise ResultPending, and then nothing has changed.
    """
    nonce_i = query.must(payloads, NoncePayload).data
    kes, secrets, left = followup_ke.first(sa, choice.proposal, payloads)
    nonces = Nonces(nonce_i, sa.registry.entropy.random(NONCE_SIZE))
    spi_in = child_negotiation.own_spi(sa)
    sa_payload, *others = choice.payloads(spi_in)
    answer: list[Payload] = [sa_payload, NoncePayload(nonces.responder), *kes, *others]
    if not left:
        return Response(Answer(answer, made(Created(choice, spi_in, nonces, secrets), now)), None)

    def finish(all_secrets: Sequence[Secret], later: float) -> Answer:
        if sa.is_ending:  # as is a request that begins one: the peer may have ended it already
            raise PeerError(NotifyType.TEMPORARY_FAILURE, "the IKE_SA is being deleted")
        sa_limits.check_child(sa, rekey=replaces is not None)
        return Answer([], made(Created(choice, spi_in, nonces, all_secrets), later))

    followup = Followup(left, secrets, finish, give_up, replaces, intends=choice.config)
    return Response(Answer([*answer, followup_ke.await_next(sa, followup, now)]), nonces)
