"""Derives the keys of an IKE SA and of its Child SAs (RFC 7296 2.14, 2.17, 2.18)."""

from dataclasses import dataclass

from ikepy.crypto.algorithms import encr_key_size, integ_key_size, is_aead
from ikepy.crypto.prf import PrfFunction, prf
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, KeGroup, Prf


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms that an IKE SA agreed on, by their transform IDs. `integ` is None for an AEAD."""

    encr: int
    key_bits: int | None
    prf: int
    integ: int | None
    group: int

    def __str__(self) -> str:
        """As charon's log has it: "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"."""
        names = [Encr(self.encr).name + (f"_{self.key_bits}" if self.key_bits else "")]
        if self.integ:
            names.append(Integ(self.integ).name)
        return "/".join([*names, f"PRF_{Prf(self.prf).name}", KeGroup(self.group).name])


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The seven secrets of RFC 7296 2.14. With an AEAD, SK_a* are empty and SK_e* end in the salt."""

    sk_d: Secret
    sk_ai: Secret
    sk_ar: Secret
    sk_ei: Secret
    sk_er: Secret
    sk_pi: Secret
    sk_pr: Secret

    def wipe(self) -> None:
        """Overwrite all of them."""
        for secret in (
            self.sk_d,
            self.sk_ai,
            self.sk_ar,
            self.sk_ei,
            self.sk_er,
            self.sk_pi,
            self.sk_pr,
        ):
            secret.wipe()


def derive_ike_keys(
    suite: IkeSuite, shared: Secret, nonce_i: bytes, nonce_r: bytes, spi_i: bytes, spi_r: bytes
) -> IkeKeys:
    """The keys of a new IKE SA (RFC 7296 2.14). `shared` is g^ir; SPIs are 8 bytes each.

    LocalMisuse if an algorithm of the suite is not supported.
    """
    function = prf(suite.prf)
    skeyseed = Secret(function.compute(nonce_i + nonce_r, shared.expose()))
    return _expand(suite, function, skeyseed, nonce_i, nonce_r, spi_i, spi_r)


def rekey_ike_keys(
    suite: IkeSuite,
    old_prf: int,
    old_sk_d: Secret,
    shared: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
) -> IkeKeys:
    """The keys of an IKE SA that replaces another (RFC 7296 2.18): nonces, SPIs, g^ir of the new exchange.

    SKEYSEED comes from the old SA's PRF and SK_d, everything else from the new suite. LocalMisuse as above.
    """
    skeyseed = Secret(prf(old_prf).compute(old_sk_d, shared.expose(), nonce_i, nonce_r))
    return _expand(suite, prf(suite.prf), skeyseed, nonce_i, nonce_r, spi_i, spi_r)


def derive_child_keys(
    prf_id: int, sk_d: Secret, nonce_i: bytes, nonce_r: bytes, shared: Secret | None, key_length: int
) -> tuple[Secret, Secret]:
    """KEYMAT of a Child SA (RFC 7296 2.17): keys initiator to responder, keys responder to initiator.

    Each is `key_length` bytes: the encryption key with its salt, then the integrity key. The initiator is
    the one of the exchange that creates the Child SA. `shared` is g^ir of that exchange if it had one.
    LocalMisuse if the PRF is unknown or `key_length` is beyond what prf+ can give.
    """
    seed = (shared.expose() if shared is not None else b"") + nonce_i + nonce_r
    to_responder, to_initiator = prf(prf_id).plus(sk_d, seed, 2 * key_length).split(key_length, key_length)
    return to_responder, to_initiator


def _expand(
    suite: IkeSuite,
    function: PrfFunction,
    skeyseed: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
) -> IkeKeys:
    if is_aead(suite.encr) == bool(suite.integ):
        raise LocalMisuse("an AEAD stands without an integrity algorithm, any other cipher with one")
    integ_size = integ_key_size(suite.integ)
    encr_size = encr_key_size(suite.encr, suite.key_bits)
    sizes = (function.size, integ_size, integ_size, encr_size, encr_size, function.size, function.size)
    keymat = function.plus(skeyseed, nonce_i + nonce_r + spi_i + spi_r, sum(sizes))
    keys = IkeKeys(*keymat.split(*sizes))
    keymat.wipe()
    skeyseed.wipe()
    return keys
