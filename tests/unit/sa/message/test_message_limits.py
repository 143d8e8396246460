"""ikepy.sa.message.message_limits: as many payloads and proposals as are configured, no more."""

from __future__ import annotations

import pytest

from ikepy.config.model import Daemon
from ikepy.errors import WireError
from ikepy.sa.message.message_limits import check
from ikepy.wire.constants import ProtocolId
from ikepy.wire.payloads import NoncePayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal

LIMITS = Daemon(max_payloads=8, max_proposals=2)
NONCE = NoncePayload(bytes(16))


def offer(count: int) -> Payload:
    return SaPayload(tuple(Proposal(number + 1, ProtocolId.ESP, bytes(4), ()) for number in range(count)))


def test_as_many_as_permitted() -> None:
    check(LIMITS, [offer(2), *[NONCE] * 7])


def test_one_payload_too_many() -> None:
    with pytest.raises(WireError, match="9 payloads, 8 are permitted"):
        check(LIMITS, [NONCE] * 9)


def test_one_proposal_too_many_in_any_sa_payload() -> None:
    with pytest.raises(WireError, match="3 proposals, 2 are permitted"):
        check(LIMITS, [offer(2), NONCE, offer(3)])
