"""Certificates in EAP-TLS that OpenSSL takes and that are malformed: refused as any other one, by whoever
verifies the chain."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import AuthRemote
from ikepy.crypto.secret import Secret
from ikepy.crypto.tls import TlsCredential, TlsEnd
from ikepy.daemon.credentials.store import Store
from ikepy.sa.auth.credentials import Presented, Untrusted
from tests import pki

VERSION = bytes.fromhex("a003020102")
UTC_TIME = b"\x17\x0d"


def of_version_5(der: bytes) -> bytes:
    return der.replace(VERSION, VERSION[:-1] + b"\4", 1)


def of_month_13(der: bytes) -> bytes:
    at = der.index(UTC_TIME) + len(UTC_TIME) + 2
    return der[:at] + b"13" + der[at + 2 :]


@pytest.mark.parametrize("change", [of_version_5, of_month_13])
def test_a_malformed_certificate_is_not_believed(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    made = pki.chain("ecdsa")
    shown = change(made.carol.der)
    certificate, key = made.carol.write(tmp_path, "carol")
    certificate.write_text(ssl.DER_cert_to_PEM_cert(shown))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server)
    server = TlsEnd(TlsCredential((made.moon.der,), Secret(made.moon.pkcs8)), server=True)
    for _ in range(5):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        to_client.write(server.step(to_server.read()))
    assert (server.done, server.error) == (True, "")
    assert server.peer_chain == (shown,)
    carol = Identity.parse("carol@example.org")
    assert carol is not None
    verdict = Store().verify(AuthRemote(), carol, Presented(server.peer_chain))()
    assert isinstance(verdict, Untrusted)
    assert verdict.why.startswith("certificate: ")
