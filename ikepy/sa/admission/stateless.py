"""Builds unprotected, stateless responses to messages that belong to no IKE_SA (RFC 7296 2.5, 2.21)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.sa.api.effects import Effect, Send
from ikepy.sa.api.path import Path
from ikepy.wire.constants import HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import NotifyPayload


def refusal(header: IkeHeader, notify: NotifyPayload, path: Path) -> Send:
    """The response that refuses an IKE_SA_INIT: the request's SPI and message ID, one notify."""
    answer = IkeHeader(header.spi_i, bytes(8), header.exchange, HeaderFlag.RESPONSE, header.message_id)
    return Send(path, encode_message(answer, [notify]))


def invalid_ike_spi(header: IkeHeader, path: Path) -> Send:
    """The response to a request under an unknown IKE SPI (2.21.4)."""
    return _echo(header, NotifyType.INVALID_IKE_SPI, path)


def newer_version(header: IkeHeader, path: Path) -> list[Effect]:
    """Answer INVALID_MAJOR_VERSION; the response's header names our highest version (2.5)."""
    return [] if header.is_response else [_echo(header, NotifyType.INVALID_MAJOR_VERSION, path)]


def _echo(header: IkeHeader, notify: NotifyType, path: Path) -> Send:
    flags = HeaderFlag.RESPONSE if header.from_initiator else HeaderFlag.RESPONSE | HeaderFlag.INITIATOR
    answer = IkeHeader(header.spi_i, header.spi_r, header.exchange, flags, header.message_id)
    return Send(path, encode_message(answer, [NotifyPayload(notify)]))


def no_larger(effects: Sequence[Effect], request: bytes) -> list[Effect]:
    """Drop responses larger than the request, whose source may be spoofed: no amplification."""
    return [e for e in effects if not isinstance(e, Send) or len(e.data) <= len(request)]
