"""Makes datagrams of our messages as the impairments have it: the seam `ikepy.sa.message.encoding.Encode`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.impair.active import MOST_KNOWN, Active
from ikepy.impair.draft import Draft, decode
from ikepy.impair.headers import ENCRYPTED, NEXT_PAYLOAD
from ikepy.sa.message import encoding
from ikepy.wire.message import HEADER_SIZE, IkeHeader, decode_header
from ikepy.wire.payloads import Payload


class ImpairedEncoder:
    """As `encoding.encode`; a connection without impairments of its messages is encoded by that."""

    def __init__(self, active: Active) -> None:
        self._active = active
        self._made: dict[bytes, None] = {}  # unprotected datagrams, the oldest first

    def __call__(
        self,
        connection: str,
        header: IkeHeader,
        payloads: Sequence[Payload],
        cipher: SkCipher | None,
        random: Callable[[int], bytes],
        limit: int | None,
    ) -> tuple[bytes, ...]:
        self._active.note(header.spi_i, connection)
        stages = tuple(self._active.of(connection))
        changes = [one.message for one in stages if one.message is not None]
        if changes:
            draft = Draft.of(header, payloads, protected=cipher is not None)
            for change in changes:
                change(draft)
            datagrams = draft.encode(cipher, random, limit)
        else:
            datagrams = encoding.encode(connection, header, payloads, cipher, random, limit)
        for one in stages:
            if one.sealed is not None:
                datagrams = tuple(map(one.sealed, datagrams))
        if cipher is None:
            self._note(datagrams[0])
        return datagrams

    def _note(self, datagram: bytes) -> None:
        self._made[datagram] = None
        if len(self._made) > MOST_KNOWN:
            del self._made[next(iter(self._made))]

    def stateless(self, datagram: bytes, random: Callable[[int], bytes]) -> bytes:
        """Impair a message of ours that did not come this way, as it belongs to no IKE_SA: a refusal, a
        cookie. Any other one stays as it is."""
        if datagram in self._made or datagram[NEXT_PAYLOAD] in ENCRYPTED:
            return datagram
        stages = tuple(self._active.of(None))
        header, first, _ = decode_header(datagram)
        draft = Draft(header, decode(first, datagram[HEADER_SIZE:]))
        for one in stages:
            if one.message is not None:
                one.message(draft)
        (datagram,) = draft.encode(None, random, None)
        for one in stages:
            if one.sealed is not None:
                datagram = one.sealed(datagram)
        return datagram
