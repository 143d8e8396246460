"""Enforces the configured limits on payloads and proposals per message, within those of the decoder."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Daemon
from ikepy.errors import WireError
from ikepy.wire.payloads import Payload, SaPayload


def check(limits: Daemon, payloads: Sequence[Payload]) -> None:
    """Raise WireError if a message has too many payloads, or an SA payload too many proposals."""
    if len(payloads) > limits.max_payloads:
        raise WireError(f"{len(payloads)} payloads, {limits.max_payloads} are permitted")
    for payload in payloads:
        if isinstance(payload, SaPayload) and len(payload.proposals) > limits.max_proposals:
            raise WireError(f"{len(payload.proposals)} proposals, {limits.max_proposals} are permitted")
