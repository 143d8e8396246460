"""What an end says about authentication beforehand: in IKE_SA_INIT and its first IKE_AUTH message.

SIGNATURE_HASH_ALGORITHMS (RFC 7427 4), CERTREQ (RFC 7296 3.7, RFC 4806 3.1), MULTIPLE_AUTH_SUPPORTED (RFC
4739 3.1), and SUPPORTED_AUTH_METHODS (RFC 9593 3.2), of which we read and send announcements without a link
to a CA.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ikepy.crypto import algorithm_ids
from ikepy.crypto.schemes import Scheme
from ikepy.sa.message import query
from ikepy.wire.constants import AuthMethod, CertEncoding, HashAlgorithm, NotifyType
from ikepy.wire.payloads import CertReqPayload, NotifyPayload, Payload

MOST_CAS = 1024  # hashes of CAs that are looked at, of all CERTREQs of a peer
SHA1_SIZE = 20
KNOWN_HASHES = frozenset(HashAlgorithm)  # others are not kept: a message can name thousands
MOST_METHODS = 256  # announcements that are looked at
MOST_IN_INIT = 24  # CAs that we name in IKE_SA_INIT, which is not fragmented (RFC 7383)
MOST_IN_AUTH = 250
MOST_RESPONDERS = 16  # OCSP responders that we name
MOST_URL = 1024  # characters
LOOK_UP = NotifyPayload(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED)  # certificates by hash and URL (RFC 7296 3.7)
RAW = CertReqPayload(CertEncoding.RAW_PUBLIC_KEY, b"")

Method = tuple[int, Scheme | None]


@dataclass(frozen=True, slots=True)
class Announced:
    """`hashes`: of signatures that it verifies; empty: it knows no Digital Signature method. `cas`: SHA-1 of
    the SubjectPublicKeyInfos of CAs that it trusts; `certificates`: whether it asked for any (CERTREQ);
    `ocsp`: whether for an OCSP response (RFC 4806; whose word it takes, we can't choose).
    `multiple`: it may authenticate several times. `eap_only`: RFC 5998. `methods`: of SUPPORTED_AUTH_METHODS,
    with the scheme where one is told and known; empty: it did not say."""

    hashes: frozenset[int] = frozenset()
    cas: frozenset[bytes] = frozenset()
    certificates: bool = False
    ocsp: bool = False
    multiple: bool = False
    eap_only: bool = False
    methods: frozenset[Method] = frozenset()

    def verifies(self, method: int, scheme: Scheme) -> bool:
        """Whether the peer has announced this one. RSA and ECDSA methods say nothing of the scheme."""
        told = scheme if method == AuthMethod.DIGITAL_SIGNATURE else None
        return (method, told) in self.methods

    def and_in(self, payloads: Sequence[Payload]) -> Announced:
        """With what a further message says."""
        requests = [one for one in payloads if isinstance(one, CertReqPayload)]
        cas = frozenset(list(_hashes(requests))[:MOST_CAS])
        return replace(
            self,
            hashes=self.hashes | _signature_hashes(payloads),
            cas=self.cas | cas,
            certificates=self.certificates or bool(requests),
            ocsp=self.ocsp or any(one.encoding == CertEncoding.OCSP for one in requests),
            multiple=self.multiple or _has(payloads, NotifyType.MULTIPLE_AUTH_SUPPORTED),
            methods=self.methods | frozenset(_methods(payloads)),
            eap_only=self.eap_only or _has(payloads, NotifyType.EAP_ONLY_AUTHENTICATION),
        )


NOTHING = Announced()


def _has(payloads: Sequence[Payload], notify: NotifyType) -> bool:
    return query.notify(payloads, notify) is not None


def _hashes(requests: Sequence[CertReqPayload]) -> Iterator[bytes]:
    for one in requests:
        if one.encoding == CertEncoding.X509_SIGNATURE:
            yield from (
                one.data[at : at + SHA1_SIZE] for at in range(0, len(one.data) - SHA1_SIZE + 1, SHA1_SIZE)
            )


def _signature_hashes(payloads: Sequence[Payload]) -> frozenset[int]:
    found = query.notify(payloads, NotifyType.SIGNATURE_HASH_ALGORITHMS)
    if found is None:
        return frozenset()
    told = (int.from_bytes(found.data[at : at + 2], "big") for at in range(0, len(found.data) - 1, 2))
    return frozenset(one for one in told if one in KNOWN_HASHES)


def _methods(payloads: Sequence[Payload]) -> Iterator[Method]:
    """Announcements of two octets, of three with a link to a CA, or of more with an AlgorithmIdentifier."""
    data = b"".join(one.data for one in query.notifies(payloads, NotifyType.SUPPORTED_AUTH_METHODS))
    for _ in range(MOST_METHODS):
        if len(data) < 2 or not 2 <= data[0] <= len(data):
            return
        one, data = data[: data[0]], data[data[0] :]
        algorithm = algorithm_ids.decoded(one[3:]) if len(one) > 3 else None
        if algorithm is not None or len(one) <= 3:
            yield one[1], None if algorithm is None else algorithm.scheme


# -- what we say -------------------------------------------------------------------------------------------


def hashes_payload(hashes: Iterable[HashAlgorithm]) -> NotifyPayload:
    """What we verify (RFC 7427 4)."""
    data = b"".join(one.to_bytes(2, "big") for one in hashes)
    return NotifyPayload(NotifyType.SIGNATURE_HASH_ALGORITHMS, data)


def methods_payload(
    ways: Iterable[tuple[int, Scheme]], others: Iterable[int] = ()
) -> tuple[NotifyPayload, ...]:
    """What we verify, in more detail (RFC 9593 3.2), of any CA; `others`: methods without a key."""
    data = b"".join(bytes([2, method]) for method in others)
    for method, scheme in ways:
        algorithm = algorithm_ids.encoded(scheme) if method == AuthMethod.DIGITAL_SIGNATURE else b""
        data += bytes([3 + len(algorithm), method, 0]) + algorithm
    return (NotifyPayload(NotifyType.SUPPORTED_AUTH_METHODS, data),) if data else ()


def certreqs(cas: Sequence[bytes], most: int, *, raw_keys: bool) -> tuple[CertReqPayload, ...]:
    """Ask for certificates of these CAs, and for a raw public key (RFC 7670 3).

    If there are more than `most`, none is named: the peer then shows what it thinks best.
    """
    named = b"".join(cas) if len(cas) <= most else b""
    found = (CertReqPayload(CertEncoding.X509_SIGNATURE, named),) if cas else ()
    return (*found, RAW) if raw_keys else found


def ocsp_request(responders: Sequence[bytes]) -> CertReqPayload:
    """Ask for an OCSP response about the peer's certificate (RFC 4806 3.1).

    `responders`: SHA-1 of the SubjectPublicKeyInfos of those whose word is taken for any CA; may be none.
    """
    named = responders if len(responders) <= MOST_RESPONDERS else ()
    return CertReqPayload(CertEncoding.OCSP, b"".join(named))


def hash_and_url(data: bytes) -> tuple[bytes, str]:
    """The SHA-1 of what is at a URL, and that (RFC 7296 3.6); an empty URL if it is none."""
    try:
        url = data[SHA1_SIZE : SHA1_SIZE + MOST_URL + 1].decode("ascii")
    except UnicodeDecodeError:
        url = ""
    fits = len(url) <= MOST_URL and url.isprintable()
    return data[:SHA1_SIZE], url if fits else ""
