"""Takes an IKE_SA from IKE_SA_INIT through the exchanges of its plan to IKE_AUTH (RFC 9242 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.path import Path
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Answer
from ikepy.sa.tasks import auth
from ikepy.wire.payloads import Payload


def initiate(sa: IkeSa) -> None:
    """As initiator, enqueue the exchange that is next."""
    plan = sa.connecting.plan
    further = plan.next
    plan.advance()
    sa.enqueue(auth.AuthTask(sa.desired.waiting.popleft()) if further is None else further.initiate())


def respond(sa: IkeSa, payloads: Sequence[Payload], path: Path, now: float) -> Answer:
    """Answer a request that the plan permits. May raise ResultPending, and then has not changed the plan."""
    plan = sa.connecting.plan
    if plan.next is None:
        return auth.respond(sa, payloads, path, now)
    answer = plan.next.respond(sa, payloads, now)
    plan.advance()
    return answer
