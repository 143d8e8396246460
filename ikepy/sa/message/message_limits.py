"""How much of anything a message may hold, by configuration; the wire's own limits are the widest."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Daemon
from ikepy.errors import WireError
from ikepy.wire.payloads import Payload, SaPayload


def check(limits: Daemon, payloads: Sequence[Payload]) -> None:
    """WireError for more payloads in a message, or more proposals in one of them, than are permitted."""
    if len(payloads) > limits.max_payloads:
        raise WireError(f"{len(payloads)} payloads, {limits.max_payloads} are permitted")
    for payload in payloads:
        if isinstance(payload, SaPayload) and len(payload.proposals) > limits.max_proposals:
            raise WireError(f"{len(payload.proposals)} proposals, {limits.max_proposals} are permitted")
