"""Makes datagrams of the messages of IKE_SAs (RFC 7296 3.1, 3.14): the seam where a test has them spoilt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.message import fragments
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import Payload

# Arguments: the connection's name, then those of `encode`. One datagram for a message without a cipher.
Encode = Callable[
    [str, IkeHeader, Sequence[Payload], SkCipher | None, Callable[[int], bytes], int | None],
    tuple[bytes, ...],
]


def encode(
    connection: str,
    header: IkeHeader,
    payloads: Sequence[Payload],
    cipher: SkCipher | None,
    random: Callable[[int], bytes],
    limit: int | None,
) -> tuple[bytes, ...]:
    """Encode a message of an IKE_SA of `connection`: unprotected without `cipher`, else as
    `fragments.seal` does."""
    if cipher is None:
        return (encode_message(header, payloads),)
    return fragments.seal(header, payloads, cipher, random, limit)
