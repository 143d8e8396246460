"""PEM and DER: what files, VICI and peers give, as one DER element of a bounded size."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

MARK = b"-----BEGIN"
MAX_TEXT = 65536  # octets that may stand before PEM
SEQUENCE = b"\x30"  # what all DER here begins with
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s(.*?)-----END \1-----", re.DOTALL)


def der(data: bytes, most: int, *labels: bytes) -> bytes:
    """The DER of `data`, which is that, or PEM with one of these labels: the first such block.

    `most`: octets that the DER may have. ValueError if it is neither, or longer.
    """
    if data[:1] == SEQUENCE or MARK not in data[:MAX_TEXT]:
        _bound(len(data), most)
        return data
    _bound(len(data), 2 * most)  # base64, and what stands beside it
    for found in _PEM.finditer(data):
        if found[1] in labels:
            return _decoded(found[2], most)
    raise ValueError(f"it has no {labels[0].decode()} in PEM")


def _decoded(text: bytes, most: int) -> bytes:
    try:
        decoded = b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its PEM is no base64") from None
    _bound(len(decoded), most)
    return decoded


def _bound(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it is too long; allowed: at most {most} octets")
