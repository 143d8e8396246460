"""PEM and DER: what files, VICI and peers give, as one DER element of a bounded size."""

from __future__ import annotations

import binascii
from base64 import b64decode

MARK = b"-----BEGIN"
SEQUENCE = b"\x30"  # what all DER here begins with
_SPACE = b" \t\r\n\v\f"


def is_pem(data: bytes | bytearray) -> bool:
    """Whether it is PEM, not DER: perhaps with text around it, as openssl writes it."""
    return data[:1] != SEQUENCE and MARK in data


def der(data: bytes, most: int, *labels: bytes) -> bytes:
    """The DER of `data`, which is that, or PEM with one of these labels: the first such block.

    `most`: octets that the DER may have. ValueError if it is neither, or longer.
    """
    if not is_pem(data):
        _bound(len(data), most)
        return data
    _bound(len(data), 2 * most)  # base64, and what stands beside it
    begins = ((data.find(b"-----BEGIN %b-----" % label), label) for label in labels)  # peers send it: linear
    at, label = min(((at, label) for at, label in begins if at >= 0), default=(0, b""))
    end = data.find(b"-----END %b-----" % label, at) if label else -1
    if end < 0:
        raise ValueError(f"it has no {labels[0].decode()} in PEM")
    return _decoded(data[at + len(b"-----BEGIN -----") + len(label) : end], most)


def _decoded(text: bytes, most: int) -> bytes:
    try:
        decoded = b64decode(text.translate(None, _SPACE), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its PEM is no base64") from None
    _bound(len(decoded), most)
    return decoded


def _bound(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it is too long; allowed: at most {most} octets")
