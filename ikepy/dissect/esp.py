"""Dissects ESP packets, and opens them where keys are known (RFC 4303 2)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ikepy.crypto.captured import CapturedCipher
from ikepy.dissect import names
from ikepy.dissect.ip import dissect_ip, dissect_upper
from ikepy.dissect.keys import EspKeys
from ikepy.dissect.names import of
from ikepy.dissect.tree import Fields, Layer, layer
from ikepy.errors import IntegrityError, WireError

_HEADER = 8  # octets: SPI and sequence number
_TRAILER = 2
_IP = {4: "IPv4", 41: "IPv6"}
_DUMMY = 59
_HIGHEST = 4  # halves of extended sequence numbers that are tried


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an ESP packet. `summary`: of the packet inside, "" while that is hidden."""

    layers: tuple[Layer, ...]
    summary: str = ""
    problems: tuple[str, ...] = ()


def dissect_esp(octets: bytes, keys: Sequence[EspKeys] = ()) -> Opened:
    """A packet from its SPI on; the first of `keys` that fits opens it. Never raises."""
    problem = ""
    for one in keys:
        cipher = one.cipher()
        try:
            plaintext = _open(cipher, octets, esn=one.esn)
            return _opened(octets, cipher, plaintext)
        except (IntegrityError, WireError) as error:
            problem = str(error)
    packet = layer("ESP packet", octets, lambda fields: _packet(fields, None), "esp")
    return Opened((packet,), problems=(problem, *packet.problems) if problem else packet.problems)


def _open(cipher: CapturedCipher, octets: bytes, *, esn: bool) -> bytes:
    """The plaintext with padding and trailer. IntegrityError, WireError."""
    prefix, body = octets[:_HEADER], octets[_HEADER:]
    if not esn:
        return cipher.open(prefix, body)
    for high in range(_HIGHEST):  # a capture doesn't say it, and few SAs live that long
        with suppress(IntegrityError):
            return cipher.open(prefix, body, high.to_bytes(4, "big"))
    raise IntegrityError("wrong integrity check value")


def _opened(octets: bytes, cipher: CapturedCipher, plaintext: bytes) -> Opened:
    packet = layer("ESP packet", octets, lambda fields: _packet(fields, cipher), "esp")
    inside = layer("Decrypted ESP", plaintext, _plaintext)
    if len(plaintext) < _TRAILER or plaintext[-2] + _TRAILER > len(plaintext):
        return Opened((packet, inside), "malformed inside", (*packet.problems, *inside.problems))
    protocol, content = plaintext[-1], plaintext[: len(plaintext) - _TRAILER - plaintext[-2]]
    if protocol == _DUMMY:
        return Opened((packet, inside), "a dummy packet", packet.problems)
    inner = dissect_ip(content) if protocol in _IP else dissect_upper(protocol, content)
    problems = (*packet.problems, *inside.problems, *inner.problems)
    return Opened((packet, inside, inner), inner.node.value, problems)


def _packet(fields: Fields, cipher: CapturedCipher | None) -> str:
    spi = fields.number(4, "SPI", lambda number: f"{number:#010x}", "esp.spi")
    sequence = fields.number(4, "Sequence number", key="esp.sequence")
    told = f"ESP {spi:#010x}, sequence number {sequence}"
    if cipher is None:
        fields.rest("Encrypted octets", key="esp")
        return told
    if cipher.iv:
        fields.take(cipher.iv, "Initialization vector", key="sk.iv")
    fields.take(fields.remaining - cipher.icv, "Encrypted packet", key="esp")
    if cipher.icv:
        fields.take(cipher.icv, "Integrity check value", key="esp.icv")
    return told


def _plaintext(fields: Fields) -> str:
    if fields.remaining < _TRAILER:
        raise WireError(f"{fields.remaining} octets have no trailer")
    padding = fields.octets[fields.end - 2]
    size = fields.remaining - _TRAILER - padding
    if size < 0:
        raise WireError(f"{padding} octets of padding in {fields.remaining}")
    if size:
        fields.take(size, "Payload data")
    if padding:
        fields.take(padding, "Padding", key="esp.padding")
    fields.number(1, "Pad length")
    following = fields.number(1, "Next header", of(names.IP_PROTOCOLS), "esp.next_header")
    return f"{size} octets, {names.short(names.IP_PROTOCOLS, following)}"
