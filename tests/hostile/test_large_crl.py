"""A CRL of 50 MB is read and searched, and no other thread waits long for it; a larger one is refused."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time, sleep

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ikepy.crypto.x509 import revocation
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.crl import MAX_CRL, crl
from ikepy.crypto.x509.revocation import Standing
from ikepy.pki import certificates
from ikepy.wire import der
from tests.pki import Entity, chain

NOW = datetime.now(UTC).replace(microsecond=0)
PKI = chain()


def large(count: int, *revoked: Entity) -> bytes:
    """A CRL of the CA with so many serial numbers that are nobody's, and then those of `revoked`."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(PKI.ca.certificate.subject)
    builder = builder.last_update(NOW).next_update(NOW + timedelta(days=1))
    small = builder.sign(PKI.ca.key, hashes.SHA256())
    parts = [der.encode(*one) for one in der.elements(der.content_of(small.tbs_certlist_bytes, 0x30), 10)]
    time = der.encode(0x17, b"260101000000Z")
    serials = [(1 << 150) + number for number in range(count)]
    serials += [one.certificate.serial_number for one in revoked]
    entries = b"".join(
        der.encode(0x30, der.encode(2, one.to_bytes(one.bit_length() // 8 + 1, "big")), time)
        for one in serials
    )
    tbs = der.encode(0x30, *parts, der.encode(0x30, entries))
    assert isinstance(PKI.ca.key, ec.EllipticCurvePrivateKey)
    signature = PKI.ca.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    whole = tuple(der.elements(der.content_of(certificates.encode(small, "der"), 0x30), 3))
    return der.encode(0x30, tbs, der.encode(*whole[1]), der.encode(3, b"\0" + signature))


def test_fifty_megabytes() -> None:
    data = large(1_270_000, PKI.sun)
    assert 48_000_000 < len(data) < MAX_CRL
    standings: list[Standing] = []

    def work() -> None:
        list_ = crl(data)
        for one in (PKI.moon, *[PKI.sun] * 1000):  # what was found once is not looked for again
            found = revocation.by_crls(
                certificate(one.der), certificate(PKI.ca.der), [list_], NOW.timestamp()
            )
            assert found is not None
            standings.append(found.standing)

    thread = threading.Thread(target=work)
    gaps, last = [0.0], (perf_counter(), process_time())
    thread.start()
    while thread.is_alive():
        sleep(0.001)
        now = perf_counter(), process_time()
        gaps.append(min(now[0] - last[0], now[1] - last[1]))  # where others have the processor, it is theirs
        last = now
    assert standings == [Standing.GOOD, *[Standing.REVOKED] * 1000]
    # A library that parses all of it keeps the interpreter's lock for two seconds.
    assert sorted(gaps)[-3] < 0.5


def test_more_is_refused() -> None:
    with pytest.raises(ValueError, match=f"too long; allowed: at most {MAX_CRL} octets"):
        crl(bytes(MAX_CRL + 1))


@pytest.mark.parametrize("cut", [10, 100, 200, -5])
def test_cut_off(cut: int) -> None:
    with pytest.raises(ValueError, match="neither PEM nor DER"):
        crl(large(100)[:cut])
