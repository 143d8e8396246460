"""Tokens by which a peer learns that an IKE_SA was lost here: stateless, from its SPIs (RFC 6290 5.1)."""

from __future__ import annotations

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Prf

# Octets. The least that is permitted (5): an answer is then hardly longer than what it answers.
TOKEN_SIZE = 16
SECRET_SIZE = 32
_SPI = 8


def crash_token(secret: Secret, spi_i: bytes, spi_r: bytes) -> bytes:
    """TOKEN_SIZE octets of HMAC-SHA-256 over both SPIs: who knows some tokens can't guess another (9.1).

    LocalMisuse if an SPI has not 8 octets.
    """
    if len(spi_i) != _SPI or len(spi_r) != _SPI:
        raise LocalMisuse("an IKE SPI has 8 octets")
    return prf(Prf.HMAC_SHA2_256).compute(secret, spi_i, spi_r)[:TOKEN_SIZE]
