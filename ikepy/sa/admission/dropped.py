"""Counts and logs the messages that are dropped before they reach an IKE_SA.

Someone who debugs a peer that "does not answer" sees here that it did, and what was wrong with it.
"""

from __future__ import annotations

from ikepy.errors import WireError
from ikepy.sa.api.effects import Level, Log
from ikepy.sa.api.path import Path
from ikepy.sa.api.unserved import Tally, Unserved
from ikepy.wire.constants import FIRST_EXCHANGES, ExchangeType, HeaderFlag
from ikepy.wire.glance import are_notifies, is_protected
from ikepy.wire.message import HEADER_SIZE, IkeHeader

_VERSION, _EXCHANGE, _FLAGS = 17, 18, 19  # offsets in the header (RFC 7296 3.1)
MAX_UNPROTECTED = 128  # octets outside IKE_SA_INIT: a notify or two (RFC 7296 1.5, 2.21.4)
MOST_NOTIFIES = 5  # INVALID_IKE_SPI and four tokens of 128 octets (RFC 6290 4.5, 5): so long may it be
MAX_NOTIFIES = 580


def check_unprotected(header: IkeHeader, datagram: bytes) -> None:
    """WireError for a long message that should be protected and has more than a few notifies outside SK.

    It is not decoded: that would cost ten times as much as other messages under SPIs copied from the wire.
    """
    if header.exchange in FIRST_EXCHANGES or len(datagram) <= MAX_UNPROTECTED:
        return
    few = len(datagram) <= MAX_NOTIFIES and are_notifies(datagram, MOST_NOTIFIES)
    if not few and not is_protected(datagram, MAX_UNPROTECTED):
        raise WireError(f"{len(datagram)} octets that are not protected")


def malformed(tally: Tally, datagram: bytes, path: Path, error: WireError) -> Log:
    """Count a message that can't be decoded; IKEv1 and IKE_SA_INIT are logged at INFO, others at DEBUG."""
    remote = path.remote
    if len(datagram) < HEADER_SIZE:
        tally[Unserved.MALFORMED] += 1
        return Log(Level.DEBUG, str(remote), f"dropped: {error}")
    if datagram[_VERSION] >> 4 == 1:
        tally[Unserved.IKEV1] += 1
        text = "dropped IKEv1: only IKEv2 is spoken here, the peer has to be set to it"
        return Log(Level.INFO, str(remote), text, "IKEv1", remote.address)
    if datagram[_EXCHANGE] not in FIRST_EXCHANGES:
        tally[Unserved.MALFORMED] += 1
        return Log(Level.DEBUG, str(remote), f"dropped: {error}")
    is_response = datagram[_FLAGS] & HeaderFlag.RESPONSE
    tally[Unserved.BAD_INIT_RESPONSE if is_response else Unserved.MALFORMED_INIT] += 1
    text = f"dropped a malformed IKE_SA_INIT {'response' if is_response else 'request'}: {error}"
    return Log(Level.INFO, str(remote), text, "malformed", remote.address)


def newer_version(tally: Tally, version: int, path: Path) -> Log:
    """Count and log a message of a higher major version (RFC 7296 2.5)."""
    tally[Unserved.NEWER_VERSION] += 1
    text = f"dropped IKE version {version >> 4}.{version & 15}: only IKEv2 is spoken here"
    return Log(Level.INFO, str(path.remote), text, "version", path.remote.address)


def other_exchange(tally: Tally, got: int, awaited: int, path: Path) -> Log:
    """Count and log a response whose exchange type differs from the request's."""
    tally[Unserved.OTHER_EXCHANGE] += 1
    text = f"dropped a response of exchange {_name(got)} where {_name(awaited)} is awaited"
    return Log(Level.INFO, str(path.remote), text, "exchange", path.remote.address)


def _name(exchange: int) -> str:
    try:
        return ExchangeType(exchange).name
    except ValueError:
        return str(exchange)
