"""The suites that the initiator under test offers, in swanctl's words (see `ikepy.probe.sgw.suites`)."""

from __future__ import annotations

from ikepy.errors import LocalMisuse
from ikepy.probe.target import ESP_SUITE, IKE_SUITE, ike_proposal
from ikepy.sa.negotiation.proposals import first_key_exchange

# Behind each part of SGW.x.1.1.6.1 what the specification has, and what takes its place.
IKE_PARTS = {
    "A": ("encryption ENCR_AES_CBC", "aes256-sha256-modp2048"),
    "C": ("PRF_AES128_XCBC, here PRF_HMAC_SHA2_384", "aes128-sha256-prfsha384-modp2048"),
    "D": ("AUTH_AES_XCBC_96, here AUTH_HMAC_SHA2_384_192", "aes128-sha384-prfsha256-modp2048"),
    "E": ("group 14, here 15", "aes128-sha256-modp3072"),
    "F": ("PRF_HMAC_SHA2_256, here PRF_HMAC_SHA2_512", "aes128-sha256-prfsha512-modp2048"),
    "G": ("AUTH_HMAC_SHA2_256_128, here AUTH_HMAC_SHA2_512_256", "aes128-sha512-prfsha256-modp2048"),
    "H": ("group 24, here 19", "aes128-sha256-ecp256"),
}
# The same of SGW.x.1.1.6.2. ESP without integrity is forbidden (RFC 8221 5); AEAD needs no transform for it.
ESP_PARTS = {
    "A": ("encryption ENCR_AES_CBC", "aes256-sha256-noesn"),
    "B": ("encryption ENCR_AES_CTR", "aes128ctr-sha256-noesn"),
    "C": ("encryption ENCR_NULL", "null-sha256-noesn"),
    "D": ("AUTH_AES_XCBC_96, here AUTH_HMAC_SHA2_384_192", "aes128-sha384-noesn"),
    "E": ("integrity NONE, here of AES-GCM", "aes128gcm16-noesn"),
    "F": ("Extended Sequence Numbers", "aes128-sha256-esn"),
    "G": ("AUTH_HMAC_SHA2_256_128, here AUTH_HMAC_SHA2_512_256", "aes128-sha512-noesn"),
}
# Two transforms of one type in one proposal.
IKE_TWO_TRANSFORMS = {
    "A": ("encryption algorithms", "aes128-aes256-sha256-modp2048"),
    "B": ("pseudo-random functions", "aes128-sha256-prfsha256-prfsha384-modp2048"),
    "C": ("integrity algorithms", "aes128-sha256-sha384-prfsha256-modp2048"),
    "D": ("key exchange methods", "aes128-sha256-modp2048-ecp256"),
}
ESP_TWO_TRANSFORMS = {
    "A": ("encryption algorithms", "aes128-aes256-sha256-noesn"),
    "B": ("integrity algorithms", "aes128-sha256-sha384-noesn"),
    "C": ("Extended Sequence Numbers", "aes128-sha256-noesn-esn"),
}
IKE_TWO_PROPOSALS = (IKE_SUITE, "aes256-sha384-prfsha384-ecp256")
ESP_TWO_PROPOSALS = (ESP_SUITE, "aes256-sha384-esn")
OTHER_GROUP_FIRST = "aes128-sha256-ecp256-modp2048"
OTHER_PRF = "aes128-sha256-prfsha384-modp2048"
PFS = "aes128-sha256-modp2048-noesn"
PFS_OTHER_GROUP_FIRST = "aes128-sha256-ecp256-modp2048-noesn"


def group_of(suite: str) -> int:
    """The first key exchange method of an IKE suite. LocalMisuse if it has none."""
    found = first_key_exchange(ike_proposal(suite))
    if found is None:
        raise LocalMisuse(f"{suite} has no key exchange")
    return found
