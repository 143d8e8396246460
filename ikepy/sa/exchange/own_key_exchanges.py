"""The key exchanges of a CREATE_CHILD_SA that we began (RFC 7296 1.3, RFC 9370 2.2.4).

The first one is in CREATE_CHILD_SA, each additional one in an IKE_FOLLOWUP_KE; a blob of the responder's, the
link, says what the next one belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.crypto.kex.method import Begun
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.exchange import key_exchange
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NotifyPayload, Payload
from ikepy.wire.proposal import Proposal


class OwnKeyExchanges:
    """What is known of them after each response. `began`: the first one; None without a key exchange.

    `fatal`: whether a key exchange that fails ends the IKE_SA.
    """

    def __init__(self, began: Begun | None, *, fatal: bool = False) -> None:
        self._began = began
        self._fatal = fatal
        self._left: tuple[int, ...] = ()
        self._link = b""
        self.secrets: tuple[Secret, ...] = ()

    @property
    def go_on(self) -> bool:
        """Whether the next request is an IKE_FOLLOWUP_KE."""
        return bool(self._left)

    @property
    def exchange(self) -> ExchangeType:
        """The exchange type of the next request."""
        return ExchangeType.IKE_FOLLOWUP_KE if self.go_on else ExchangeType.CREATE_CHILD_SA

    def request(self, sa: IkeSa) -> list[Payload]:
        """The next IKE_FOLLOWUP_KE. May raise ResultPending."""
        self._began = key_exchange.begin(sa, self._left[0])
        link = NotifyPayload(NotifyType.ADDITIONAL_KEY_EXCHANGE, self._link)
        return [KePayload(self._began.method.id, self._began.public), link]

    def agreed(self, sa: IkeSa, chosen: Proposal, payloads: Sequence[Payload]) -> None:
        """Take the response to CREATE_CHILD_SA, in which the peer chose this.

        PeerError as `key_exchange.finish`; may raise ResultPending, and then nothing has changed.
        """
        methods = proposals.key_exchanges(chosen)
        secrets = (self._finish(sa, methods[0], payloads),) if methods else ()
        self._took(methods[1:], secrets, payloads)

    def went_on(self, sa: IkeSa, payloads: Sequence[Payload]) -> None:
        """Take the response to IKE_FOLLOWUP_KE, likewise."""
        secret = self._finish(sa, self._left[0], payloads)
        self._took(self._left[1:], (*self.secrets, secret), payloads)

    def _finish(self, sa: IkeSa, method: int, payloads: Sequence[Payload]) -> Secret:
        return key_exchange.finish(sa, self._began, method, payloads, fatal=self._fatal)

    def _took(self, left: tuple[int, ...], secrets: tuple[Secret, ...], payloads: Sequence[Payload]) -> None:
        link = query.notify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE)
        if left and link is None:
            text = "the peer does not say how its additional key exchanges go on"
            raise PeerError(NotifyType.INVALID_SYNTAX, text, fatal=self._fatal)
        self._left, self.secrets = left, secrets
        self._link = b"" if link is None else link.data
