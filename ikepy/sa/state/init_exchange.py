"""Keeps what later exchanges need of IKE_SA_INIT (RFC 7296 2.10, 2.15)."""

from __future__ import annotations

from dataclasses import dataclass

NONCE_SIZE = 32  # bytes: at least half the key size of any PRF here (RFC 7296 2.10)


@dataclass(slots=True)
class InitExchange:
    """Both IKE_SA_INIT messages as sent, and the nonces: AUTH signs them."""

    nonce_i: bytes = b""
    nonce_r: bytes = b""
    request: bytes = b""
    response: bytes = b""
    feigned: bytes = b""  # as initiator: the NAT detection hash that feigns a NAT at our end
