"""Unprotected answers to messages that belong to no IKE_SA, which cost no state (RFC 7296 2.5, 2.21)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.effects import Effect, Send
from ikepy.sa.api.path import Path
from ikepy.wire.constants import HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import NotifyPayload


def refusal(header: IkeHeader, notify: NotifyPayload, path: Path) -> Send:
    """The response to an IKE_SA_INIT that made no IKE_SA: the request's SPI and message ID, one notify."""
    answer = IkeHeader(header.spi_i, bytes(8), header.exchange, HeaderFlag.RESPONSE, header.message_id)
    return Send(path, encode_message(answer, [notify]))


def invalid_ike_spi(header: IkeHeader, path: Path) -> Send:
    """The response to a request for an IKE_SA that there is not (2.21.4)."""
    return _echo(header, NotifyType.INVALID_IKE_SPI, path)


def newer_version(header: IkeHeader, path: Path) -> list[Effect]:
    """The highest version that we speak stands in the answer's header (2.5)."""
    return [] if header.is_response else [_echo(header, NotifyType.INVALID_MAJOR_VERSION, path)]


def _echo(header: IkeHeader, notify: NotifyType, path: Path) -> Send:
    flags = HeaderFlag.RESPONSE if header.from_initiator else HeaderFlag.RESPONSE | HeaderFlag.INITIATOR
    answer = IkeHeader(header.spi_i, header.spi_r, header.exchange, flags, header.message_id)
    return Send(path, encode_message(answer, [NotifyPayload(notify)]))


def no_larger(effects: Sequence[Effect], request: bytes) -> list[Effect]:
    """Without answers that are larger than what anybody may have sent in another's name."""
    return [e for e in effects if not isinstance(e, Send) or len(e.data) <= len(request)]
