"""Authentication of the IKE SA by a pre-shared key (RFC 7296 2.15)."""

from hmac import compare_digest

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret

KEY_PAD = b"Key Pad for IKEv2"


def psk_auth(
    prf_id: int, psk: Secret, message: bytes, peer_nonce: bytes, sk_p: Secret, id_body: bytes
) -> bytes:
    """The data of the AUTH payload with method SHARED_KEY_MIC; one PRF output.

    All arguments are those of the side that authenticates itself: `message` its IKE_SA_INIT message, whole
    and without non-ESP marker; `peer_nonce` the nonce data of the other side; `sk_p` its SK_pi or SK_pr;
    `id_body` its ID payload without the generic header (type, three reserved bytes, data).
    LocalMisuse if the PRF is unknown.
    """
    function = prf(prf_id)
    maced_id = function.compute(sk_p, id_body)
    return function.compute(function.compute(psk, KEY_PAD), message, peer_nonce, maced_id)


def same(a: bytes, b: bytes) -> bool:
    """Compare in constant time."""
    return compare_digest(a, b)
