"""Authentication of the IKE SA: what AUTH covers, and AUTH by a shared key (RFC 7296 2.15)."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret

KEY_PAD = b"Key Pad for IKEv2"


@dataclass(frozen=True, slots=True)
class SignedOctets:
    """What the AUTH payload of one end covers, whatever the method (RFC 7296 2.15).

    `message`: that end's IKE_SA_INIT message, whole and without non-ESP marker. `peer_nonce`: the nonce data
    of the other end. `maced_id`: prf(SK_p, its ID payload), one PRF output. `int_auth`: what intermediate
    exchanges add, empty without them (RFC 9242 3.3.2).
    """

    message: bytes
    peer_nonce: bytes
    maced_id: bytes
    int_auth: bytes = b""

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The octets in their order; a PRF takes them one by one."""
        return self.message, self.peer_nonce, self.maced_id, self.int_auth


def maced_id(prf_id: int, sk_p: Secret, id_body: bytes) -> bytes:
    """prf(SK_p, ID'): `sk_p` is SK_pi or SK_pr of the end that authenticates itself, `id_body` its ID payload
    without the generic header (type, three reserved bytes, data). LocalMisuse if the PRF is unknown."""
    return prf(prf_id).compute(sk_p, id_body)


def psk_auth(prf_id: int, key: Secret, octets: SignedOctets) -> bytes:
    """The data of the AUTH payload with method SHARED_KEY_MIC; one PRF output.

    `octets`: those of the end that authenticates itself. LocalMisuse if the PRF is unknown.
    """
    function = prf(prf_id)
    return function.compute(function.compute(key, KEY_PAD), *octets.parts)


def resumption_auth(prf_id: int, sk_p: Secret, octets: SignedOctets) -> bytes:
    """The data of the AUTH payload of a resumed IKE SA: prf(SK_px, octets) (RFC 5723 4.3.3).

    `sk_p` and `octets`: those of the end that authenticates itself. LocalMisuse if the PRF is unknown.
    """
    return prf(prf_id).compute(sk_p, *octets.parts)


def same(a: bytes, b: bytes) -> bool:
    """Compare in constant time."""
    return compare_digest(a, b)
