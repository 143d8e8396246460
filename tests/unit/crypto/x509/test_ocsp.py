"""OCSP responses: who may sign them, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as library
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.x509 import ocsp, revocation
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.ocsp import Says
from ikepy.crypto.x509.revocation import Standing
from tests.pki import Chain, Entity, chain

NOW = datetime.now(UTC).replace(microsecond=0)
PKI = chain()
NONCE = b"n" * 32


def read(one: Entity) -> Certificate:
    return certificate(one.der)


def response(
    of: Entity = PKI.moon,
    by: Entity = PKI.ca,
    ca: Entity = PKI.ca,
    *,
    status: library.OCSPCertStatus = library.OCSPCertStatus.GOOD,
    age: timedelta = timedelta(),
    life: timedelta | None = timedelta(hours=1),
    nonce: bytes = b"",
    by_hash: bool = False,
    digest: hashes.HashAlgorithm | None = None,
    certs: tuple[Entity, ...] = (),
) -> bytes:
    revoked = status is library.OCSPCertStatus.REVOKED
    builder = library.OCSPResponseBuilder().add_response(
        of.certificate,
        ca.certificate,
        digest or hashes.SHA1(),
        status,
        NOW - age,
        None if life is None else NOW - age + life,
        datetime(2026, 1, 2, tzinfo=UTC) if revoked else None,
        x509.ReasonFlags.superseded if revoked else None,
    )
    way = library.OCSPResponderEncoding.HASH if by_hash else library.OCSPResponderEncoding.NAME
    builder = builder.responder_id(way, by.certificate)
    if certs:
        builder = builder.certificates([one.certificate for one in certs])
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    key: Any = by.key
    signed = builder.sign(key, None if "Ed" in type(key).__name__ else hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def says(data: bytes, of: Entity = PKI.moon, ca: Entity = PKI.ca, **more: Any) -> ocsp.Answer:
    return ocsp.answer(data, read(of), read(ca), NOW.timestamp(), **more)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_by_the_ca(kind: str) -> None:
    pki: Chain = chain(kind)
    for by_hash in (False, True):
        found = says(response(pki.moon, pki.ca, pki.ca, by_hash=by_hash), pki.moon, pki.ca)
        assert (found.says, found.until) == (Says.GOOD, NOW.timestamp() + 3600)


def test_revoked_and_unknown() -> None:
    found = says(response(status=library.OCSPCertStatus.REVOKED))
    assert (found.says, found.text) == (Says.REVOKED, "superseded, 2026-01-02 00:00 UTC")
    assert says(response(status=library.OCSPCertStatus.UNKNOWN)).says is Says.UNKNOWN


def test_a_request() -> None:
    found = library.load_der_ocsp_request(ocsp.request(read(PKI.moon), read(PKI.ca), NONCE))
    assert found.serial_number == PKI.moon.certificate.serial_number
    assert found.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == NONCE
    assert not list(library.load_der_ocsp_request(ocsp.request(read(PKI.moon), read(PKI.ca), b"")).extensions)


def test_hashes_of_the_certificate_id() -> None:
    assert says(response(digest=hashes.SHA256())).says is Says.GOOD
    with pytest.raises(ValueError, match="nothing of this certificate"):
        says(response(of=PKI.sun))
    with pytest.raises(ValueError, match="nothing of this certificate"):
        says(response(ca=PKI.root))


def test_a_delegate() -> None:
    delegate = PKI.issue("ocsp", flags=("ocspSigning",))
    assert says(response(by=delegate, certs=(delegate,))).says is Says.GOOD
    with pytest.raises(ValueError, match="nobody signed it who may answer"):
        says(response(by=delegate))


@pytest.mark.parametrize(
    "delegate",
    [
        PKI.issue("none", flags=("serverAuth",)),
        PKI.issue("old", flags=("ocspSigning",), not_before=NOW - timedelta(9), not_after=NOW - timedelta(1)),
        chain("ecdsa", "other").issue("other", flags=("ocspSigning",)),
    ],
)
def test_one_who_may_not_answer(delegate: Entity) -> None:
    with pytest.raises(ValueError, match="nobody signed it who may answer"):
        says(response(by=delegate, certs=(delegate,)))


def test_a_configured_responder() -> None:
    other = chain("ecdsa", "other").issue("responder")
    assert says(response(by=other), responders=[read(other)]).says is Says.GOOD


def test_a_forged_one() -> None:
    with pytest.raises(ValueError, match="signature is not its issuer's"):
        says(VALID[:-1] + bytes([VALID[-1] ^ 1]))


def test_times() -> None:
    with pytest.raises(ValueError, match="it is not current"):
        says(response(age=timedelta(hours=2)))
    with pytest.raises(ValueError, match="it is not current"):
        says(response(age=-timedelta(hours=2)))
    assert says(response(life=None, age=timedelta(minutes=2))).says is Says.GOOD
    with pytest.raises(ValueError, match="it is not current"):
        says(response(life=None, age=timedelta(minutes=12)))


def test_nonces() -> None:
    assert says(response(nonce=NONCE), nonce=NONCE).says is Says.GOOD
    assert says(response(), nonce=NONCE).says is Says.GOOD
    with pytest.raises(ValueError, match="its nonce is not that of the request"):
        says(response(nonce=b"m" * 32), nonce=NONCE)


def test_a_refusal() -> None:
    refused = library.OCSPResponseBuilder.build_unsuccessful(library.OCSPResponseStatus.TRY_LATER)
    with pytest.raises(ValueError, match="refuses: try_later"):
        says(refused.public_bytes(serialization.Encoding.DER))


def test_of_several_the_first_that_counts() -> None:
    good, revoked = response(), response(status=library.OCSPCertStatus.REVOKED)
    stale = response(age=timedelta(hours=2))
    at = NOW.timestamp()

    def standing(*data: bytes) -> Standing | None:
        found = revocation.by_ocsp(read(PKI.moon), read(PKI.ca), [(one, b"") for one in data], at)
        return None if found is None else found.standing

    assert standing() is None
    assert standing(stale) is Standing.UNKNOWN
    assert standing(stale, good) is Standing.GOOD
    assert standing(stale, revoked, good) is Standing.REVOKED


VALID = response()


def test_a_responder_whose_name_is_a_bit_string() -> None:
    """The library has an exception of another kind for that."""
    name = b"ecdsa CA"
    at = VALID.rindex(name)
    changed = VALID[: at - 2] + b"\x03" + VALID[at - 1 : at] + b"\0" + VALID[at + 1 :]
    with pytest.raises(ValueError, match="not known here"):
        says(changed)


@given(data=st.binary(max_size=200), at=st.integers(0, len(VALID) - 1))
def test_any_octets_are_an_answer_or_a_value_error(data: bytes, at: int) -> None:
    for one in (data, VALID[:at] + data[:8] + VALID[at + len(data[:8]) :], VALID[:at]):
        try:
            assert says(one).says in Says
        except ValueError as error:
            assert str(error)
