"""What later exchanges need of IKE_SA_INIT (RFC 7296 2.10, 2.15)."""

from __future__ import annotations

from dataclasses import dataclass

NONCE_SIZE = 32  # bytes: at least half the key size of any PRF here (RFC 7296 2.10)


@dataclass(slots=True)
class InitExchange:
    """What IKE_AUTH needs of IKE_SA_INIT: both messages as they were sent, and the nonces."""

    nonce_i: bytes = b""
    nonce_r: bytes = b""
    request: bytes = b""
    response: bytes = b""
