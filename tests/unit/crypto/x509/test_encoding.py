"""PEM and DER from peers, servers and files: the right block, however much stands around it."""

from __future__ import annotations

import time
from base64 import b64encode

import pytest

from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.crl import MAX_CRL, crl
from ikepy.crypto.x509.encoding import der
from ikepy.pki import showing
from ikepy.wire import der as written
from ikepy.wire.der import Tag
from tests.pki import chain

QUICK = 10.0  # seconds, on a busy machine; each took minutes to days before
NULL = b"\x05\x00"


def pem(label: bytes, data: bytes, eol: bytes = b"\n") -> bytes:
    text = eol.join((b"-----BEGIN %b-----" % label, b64encode(data), b"-----END %b-----" % label))
    return text + eol


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b" \n\t"])
def test_the_first_block_with_one_of_the_labels(eol: bytes) -> None:
    text = (
        b"subject: somebody\n" + pem(b"KEY", b"0no", eol) + pem(b"B", b"0one", eol) + pem(b"A", b"0two", eol)
    )
    assert der(text, 100, b"A", b"B") == b"0one"
    assert der(text, 100, b"A") == b"0two"
    assert der(b"0three", 100, b"A") == b"0three"


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN A-----\nMA==\n",
        b"-----END A-----\n-----BEGIN A-----\nMA==\n",
        b"-----BEGIN A-----\nMA==\n-----END B-----\n",
        b"-----BEGIN B-----\nMA==\n-----END B-----\n",
    ],
)
def test_no_whole_block(text: bytes) -> None:
    with pytest.raises(ValueError, match="it has no A in PEM"):
        der(text, 100, b"A")


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN A-----\n" * (MAX_CRL // 18),
        b"-----BEGIN X509 CRL-----\n" * (MAX_CRL // 25),
        b"-----BEGIN X509 CRL-----\n" + b"A " * (MAX_CRL // 2) + b"-----END X509 CRL-----",
        written.encode(Tag.SEQUENCE, written.encode(Tag.SEQUENCE, NULL * (MAX_CRL // 2 - 10))),
    ],
    ids=["other blocks", "no end", "spaces", "parts"],
)
def test_a_hostile_answer_of_a_crl_server_costs_little(data: bytes) -> None:
    begin = time.monotonic()
    with pytest.raises(ValueError, match=r"in PEM|too long|neither|malformed"):
        crl(data)
    assert time.monotonic() - begin < QUICK


def test_a_name_that_the_library_does_not_read() -> None:
    """O as BIT STRING."""
    data = chain().moon.der
    at = data.rfind(b"\x13\x05ikepy")
    data = data[:at] + b"\x03\x05\x00kepy" + data[at + 7 :]
    with pytest.raises(ValueError, match="malformed"):
        certificate(data)
    with pytest.raises(ValueError, match="no certificate"):
        list(showing.of_der("X509", data))
