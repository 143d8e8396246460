"""Answers OCSP requests (RFC 6960) from a CA's CRL, for labs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from ikepy.crypto.x509.certificate import MALFORMED
from ikepy.pki import certificates, crl, keys
from ikepy.pki.keys import PrivateKey
from ikepy.wire import der
from ikepy.wire.der import Tag

MAX_REQUEST = 4096  # octets
VALID = timedelta(hours=1)  # of an answer
HASHES = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)
FAILED = ocsp.OCSPResponseStatus


class Responder:
    """Answers for the certificates of one CA. `key`, `certificate`: the signer's, the CA's own or that of one
    that it has given ocspSigning. `read`: gives the CRL that counts now, or raises ValueError; `tell`: is
    told, once, why there is none that says who is not revoked."""

    def __init__(
        self,
        ca: x509.Certificate,
        key: PrivateKey,
        certificate: x509.Certificate,
        read: Callable[[], x509.CertificateRevocationList],
        tell: Callable[[str], None],
    ) -> None:
        """Raises ValueError if the key is not the certificate's, or the CRL is none to answer by."""
        certificates.check_pair(key, certificate)
        self._ca = ca
        self._key = key
        self._certificate = certificate
        self._read = read
        self._tell = tell
        self._told = ""
        self._listing(datetime.now(UTC))

    def answer(self, request: bytes) -> bytes:
        """The DER response to a DER request; to what is none, "malformed request"; "try later" while the CRL
        is another CA's, out of date or not there."""
        if len(request) > MAX_REQUEST:
            return _refusal(FAILED.MALFORMED_REQUEST)
        try:
            asked = ocsp.load_der_ocsp_request(request)
            serial, hash_, extensions = asked.serial_number, asked.hash_algorithm, asked.extensions
        except (NotImplementedError, *MALFORMED):  # several certificates at once are not answered
            return _refusal(FAILED.MALFORMED_REQUEST)
        if not isinstance(hash_, HASHES) or not self._is_of_ours(asked, hash_):
            return _refusal(FAILED.UNAUTHORIZED)
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            listing = self._listing(now)
        except ValueError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._tell(self._told)
            return _refusal(FAILED.TRY_LATER)
        self._told = ""
        revoked = listing.get_revoked_certificate_by_serial_number(serial)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                asked.issuer_name_hash,
                asked.issuer_key_hash,
                serial,
                hash_,
                ocsp.OCSPCertStatus.GOOD if revoked is None else ocsp.OCSPCertStatus.REVOKED,
                now,
                min(now + VALID, listing.next_update_utc or now),
                None if revoked is None else revoked.revocation_date_utc,
                None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._certificate)
        )
        if self._certificate != self._ca:
            builder = builder.certificates([self._certificate])
        for one in extensions:
            if isinstance(one.value, x509.OCSPNonce):
                builder = builder.add_extension(one.value, critical=False)
        made = builder.sign(self._key, keys.digest(self._key))
        return made.public_bytes(keys.OUTFORMS["der"])

    def _listing(self, now: datetime) -> x509.CertificateRevocationList:
        """The CRL. Raises ValueError if it is none that says who is not revoked."""
        found = self._read()
        crl.check_issuer(found, self._ca)
        crl.check_complete(found, now)
        return found

    def _is_of_ours(self, asked: ocsp.OCSPRequest, hash_: hashes.HashAlgorithm) -> bool:
        spki = keys.public_bytes(certificates.public_key(self._ca), "der")
        _, (_, bits) = der.elements(der.content_of(spki, Tag.SEQUENCE), 2)
        own = _digest(hash_, self._ca.subject.public_bytes()), _digest(hash_, bits[1:])
        return own == (asked.issuer_name_hash, asked.issuer_key_hash)


def _digest(hash_: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(hash_)
    digest.update(data)
    return digest.finalize()


def _refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(keys.OUTFORMS["der"])
