"""Opens the Encrypted payloads of messages, and of their fragments (RFC 7296 3.14, RFC 7383 2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ikepy.dissect import names
from ikepy.dissect.auth_check import NOTHING
from ikepy.dissect.ike import SkSizes, dissect_ike, dissect_payloads
from ikepy.dissect.keys import IkeKeys, Keys
from ikepy.dissect.tree import Layer
from ikepy.dissect.witness import Witness
from ikepy.errors import IntegrityError, WireError
from ikepy.sa.message.fragments import OpenedMessage
from ikepy.wire.message import IkeHeader, Message, decode_header, decode_message, decode_payloads
from ikepy.wire.payloads import SkfPayload, SkPayload


@dataclass(frozen=True, slots=True)
class Found:
    """What the datagrams of one message hold. `summary`: "" if the first layer's own will do. `sealed`: there
    is something to open; `opened`: it was."""

    layers: tuple[Layer, ...]
    summary: str = ""
    problems: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    sealed: bool = False
    opened: bool = False


@dataclass(frozen=True, slots=True)
class _Plaintext:
    first: int
    content: bytes  # without padding
    by: IkeKeys
    offset: int  # where the Encrypted payload's body begins


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment of a message, opened if that was possible."""

    number: int
    total: int
    octets: bytes
    layer: Layer
    plaintext: _Plaintext | None
    problems: tuple[str, ...]


class Opening:
    """Opens messages by what `keys` has at the moment, and tells the witness what was inside."""

    def __init__(self, keys: Keys, witness: Witness) -> None:
        self._keys = keys
        self._witness = witness

    def of(self, octets: bytes) -> Found:
        """A message in one datagram."""
        if octets[17:18] and octets[17] >> 4 != 2:  # IKEv1: no mistake, but nothing to open
            return Found((dissect_ike(octets),))
        try:
            message = decode_message(octets)
        except WireError as error:
            told = dissect_ike(octets)
            return Found((told,), problems=() if told.problems else (str(error),))
        sealed = _sealed(message)
        if sealed is None:
            self._witness.plain(octets, message)
            return Found((dissect_ike(octets),))
        plaintext, problem = self._open(octets, message, sealed)
        if plaintext is None:
            return Found((dissect_ike(octets),), problems=problem, sealed=True)
        outer = dissect_ike(octets, _sizes(plaintext.by))
        return self._inside((outer,), message.header, octets, plaintext)

    def piece(self, number: int, total: int, octets: bytes) -> Piece:
        """One fragment."""
        plaintext, problems = self._open_fragment(octets)
        sizes = None if plaintext is None else _sizes(plaintext.by)
        layer = dissect_ike(octets, sizes, f"IKE fragment {number} of {total}")
        return Piece(number, total, octets, layer, plaintext, problems)

    def of_pieces(self, pieces: Sequence[Piece]) -> Found:
        """A message in fragments, as far as they are there."""
        opened = [one for one in pieces if one.plaintext is not None]  # what nobody can forge
        total = max(one.total for one in opened or pieces)  # the sender's last try (RFC 7383 2.6)
        layers = tuple(one.layer for one in pieces)
        problems = tuple(dict.fromkeys(text for one in pieces for text in one.problems))
        there = {one.number: one for one in (*pieces, *opened) if one.total == total}
        parts = {number: one.plaintext for number, one in there.items() if one.plaintext is not None}
        if len(parts) < total:
            head = layers[0].node.value.partition(" [")[0]
            return Found(layers, f"{head} [ {len(there)} of {total} fragments ]", problems, sealed=True)
        content = b"".join(parts[number].content for number in range(1, total + 1))
        first = there[1].octets
        whole = _Plaintext(parts[1].first, content, parts[1].by, parts[1].offset)
        found = self._inside(layers, decode_header(first)[0], first, whole)
        return replace(found, problems=(*problems, *found.problems))

    def _open_fragment(self, octets: bytes) -> tuple[_Plaintext | None, tuple[str, ...]]:
        try:
            message = decode_message(octets)
        except WireError as error:
            return None, (str(error),)
        sealed = _sealed(message)
        return (None, ()) if sealed is None else self._open(octets, message, sealed)

    def _open(
        self, octets: bytes, message: Message, sealed: SkPayload | SkfPayload
    ) -> tuple[_Plaintext | None, tuple[str, ...]]:
        """The plaintext, or why it can't be had; without any keys that is no problem."""
        header = message.header
        offset = len(octets) - len(sealed.body)
        problem = ""
        for keys in self._keys.of_ike(header.spi_i, header.spi_r):
            cipher = keys.cipher(initiator=header.from_initiator)
            try:
                padded = cipher.open(octets[:offset], sealed.body)
            except (IntegrityError, WireError) as error:
                problem = f"not opened: {error}"
                continue
            end = len(padded) - 1 - (padded[-1] if padded else 0)
            if end < 0:
                problem = "not opened: more padding than there is plaintext"
                continue
            return _Plaintext(sealed.first, padded[:end], keys, offset), ()
        return None, (problem,) if problem else ()

    def _inside(
        self, layers: tuple[Layer, ...], header: IkeHeader, octets: bytes, plaintext: _Plaintext
    ) -> Found:
        inside = dissect_payloads(plaintext.first, plaintext.content)
        kind = "response" if header.is_response else "request"
        exchange = names.short(names.EXCHANGES, header.exchange)
        told, problems = NOTHING, tuple[str, ...]()
        try:
            payloads = decode_payloads(plaintext.first, plaintext.content)
            opened = OpenedMessage(plaintext.first, plaintext.content, octets, plaintext.offset)
            told = self._witness.opened(header, opened, plaintext.by, payloads)
        except WireError as error:
            problems = () if inside.problems else (str(error),)
        return Found(
            (*layers, inside),
            f"{exchange} {kind} {header.message_id} [ {inside.node.value or 'empty'} ]",
            (*problems, *told.problems),
            told.findings,
            sealed=True,
            opened=True,
        )


def _sealed(message: Message) -> SkPayload | SkfPayload | None:
    last = message.payloads[-1] if message.payloads else None
    return last if isinstance(last, SkPayload | SkfPayload) else None


def _sizes(keys: IkeKeys) -> SkSizes:
    cipher = keys.cipher(initiator=True)
    return SkSizes(cipher.iv, cipher.icv)
