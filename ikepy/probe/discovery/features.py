"""Reads what a response to IKE_SA_INIT announces: notifies, certificate requests, vendor IDs."""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.crypto.nat import nat_detection_hash
from ikepy.dissect.vendor_ids import vendor
from ikepy.probe.discovery.offers import Ends
from ikepy.probe.discovery.replies import notify_name
from ikepy.probe.discovery.report import Features, Vendor
from ikepy.wire.constants import AuthMethod, CertEncoding, HashAlgorithm, NotifyType
from ikepy.wire.message import Message
from ikepy.wire.payloads import CertReqPayload, NotifyPayload, VendorIdPayload

_SHA1 = 20  # octets of a CA's hash
_READ = frozenset(
    {
        NotifyType.NAT_DETECTION_SOURCE_IP,
        NotifyType.NAT_DETECTION_DESTINATION_IP,
        NotifyType.IKEV2_FRAGMENTATION_SUPPORTED,
        NotifyType.SIGNATURE_HASH_ALGORITHMS,
        NotifyType.SUPPORTED_AUTH_METHODS,
        NotifyType.CHILDLESS_IKEV2_SUPPORTED,
        NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED,
        NotifyType.USE_PPK,
        NotifyType.USE_PPK_INT,
        NotifyType.MULTIPLE_AUTH_SUPPORTED,
        NotifyType.HTTP_CERT_LOOKUP_SUPPORTED,
    }
)


def features(message: Message, ends: Ends) -> Features:
    """The features that an accepting response shows."""
    found = [one for one in message.payloads if isinstance(one, NotifyPayload)]
    seen = {one.notify for one in found}
    source = [one.data for one in found if one.notify == NotifyType.NAT_DETECTION_SOURCE_IP]
    destination = [one.data for one in found if one.notify == NotifyType.NAT_DETECTION_DESTINATION_IP]
    spi_i, spi_r = message.header.spi_i, message.header.spi_r
    nat = bool(source and destination)
    them = nat_detection_hash(spi_i, spi_r, ends.remote, ends.remote_port)
    us = nat_detection_hash(spi_i, spi_r, ends.local, ends.local_port)
    requests = [
        one
        for one in message.payloads
        if isinstance(one, CertReqPayload) and one.encoding == CertEncoding.X509_SIGNATURE
    ]
    return Features(
        nat_detection=nat,
        nat_before_us=us not in destination if nat else None,
        nat_before_peer=them not in source if nat else None,
        fragmentation=NotifyType.IKEV2_FRAGMENTATION_SUPPORTED in seen,
        signature_hashes=list(_hashes(found)),
        auth_methods=list(_methods(found)),
        childless=NotifyType.CHILDLESS_IKEV2_SUPPORTED in seen,
        intermediate=NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED in seen,
        ppk=NotifyType.USE_PPK in seen,
        ppk_in_intermediate=NotifyType.USE_PPK_INT in seen,
        multiple_auth=NotifyType.MULTIPLE_AUTH_SUPPORTED in seen,
        hash_and_url=NotifyType.HTTP_CERT_LOOKUP_SUPPORTED in seen,
        certificate_requests=sum(len(one.data) // _SHA1 for one in requests),
        other_notifies=[notify_name(one) for one in sorted(seen - _READ)],
    )


def vendors(message: Message) -> list[Vendor]:
    """The vendor IDs of a message, each once, in their order."""
    data = dict.fromkeys(one.data for one in message.payloads if isinstance(one, VendorIdPayload))
    return [Vendor(one.hex(), vendor(one)) for one in data]


def _hashes(found: list[NotifyPayload]) -> Iterator[str]:
    """RFC 7427 4: numbers of 16 bits."""
    for one in found:
        if one.notify == NotifyType.SIGNATURE_HASH_ALGORITHMS:
            for place in range(0, len(one.data) - 1, 2):
                number = int.from_bytes(one.data[place : place + 2], "big")
                known = number in HashAlgorithm.__members__.values()
                yield HashAlgorithm(number).name if known else f"hash {number}"


def _methods(found: list[NotifyPayload]) -> Iterator[str]:
    """RFC 9593 3.2: entries of a length, which counts itself, and then the method."""
    for one in found:
        if one.notify != NotifyType.SUPPORTED_AUTH_METHODS:
            continue
        place = 0
        while place + 2 <= len(one.data) and one.data[place] >= 2:
            entry = one.data[place : place + one.data[place]]
            method = entry[1] if len(entry) == 2 else entry[2] if len(entry) > 2 else 0
            known = method in AuthMethod.__members__.values()
            yield AuthMethod(method).name if known else f"method {method}"
            place += one.data[place]
