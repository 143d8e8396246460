"""The key schedule of an IKE SA: derives its keys and those of its Child SAs (RFC 7296 2.14, 2.17, 2.18).

IKE_SA_INIT or a rekey makes one; every further key exchange before IKE_AUTH extends it (RFC 9370 2.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

from ikepy.crypto.algorithms import encr_key_size, integ_key_size, is_aead
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, Prf


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms that protect an IKE SA, by their transform IDs. `integ` is None for an AEAD."""

    encr: int
    key_bits: int | None
    prf: int
    integ: int | None

    def __str__(self) -> str:
        """As charon's log has it: "AES_GCM_16_128/PRF_HMAC_SHA2_256"."""
        names = [Encr(self.encr).label + (f"_{self.key_bits}" if self.key_bits else "")]
        if self.integ:
            names.append(Integ(self.integ).name)
        return "/".join([*names, f"PRF_{Prf(self.prf).name}"])


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


@dataclass(frozen=True, slots=True)
class Seed:
    """What both ends sent in the clear: the nonces, and the SPIs of the IKE SA (8 bytes each)."""

    nonce_i: bytes
    nonce_r: bytes
    spi_i: bytes
    spi_r: bytes


@dataclass(frozen=True, slots=True)
class KeySchedule:
    """The keys of one IKE SA, and what may be derived from them. A value: each step makes a new one.

    Every method that derives raises LocalMisuse if an algorithm of the suite is not supported.
    """

    suite: IkeSuite
    keys: IkeKeys

    @classmethod
    def initial(cls, suite: IkeSuite, secret: Secret, seed: Seed) -> KeySchedule:
        """Of IKE_SA_INIT (RFC 7296 2.14): SKEYSEED = prf(Ni | Nr, g^ir)."""
        function = prf(suite.prf)
        skeyseed = function.compute(function.key_of_nonces(seed.nonce_i, seed.nonce_r), secret.expose())
        return cls._expanded(suite, Secret(skeyseed), seed)

    @classmethod
    def resumed(cls, suite: IkeSuite, sk_d: Secret, seed: Seed) -> KeySchedule:
        """Of a resumed IKE SA; `suite` and `sk_d` are the former one's (RFC 5723 5.1).

        SKEYSEED = prf(SK_d (old), "Resumption" | Ni | Nr).
        """
        skeyseed = prf(suite.prf).compute(sk_d, b"Resumption", seed.nonce_i, seed.nonce_r)
        return cls._expanded(suite, Secret(skeyseed), seed)

    def extended(self, secret: Secret, seed: Seed) -> KeySchedule:
        """By the secret of one more key exchange before IKE_AUTH; `seed` is IKE_SA_INIT's (RFC 9370 2.2.2).

        SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), and all keys anew. May be repeated.
        """
        return self._continued(self.suite, [secret], seed)

    def with_ppk(self, ppk: Secret) -> KeySchedule:
        """With a PPK mixed into SK_d, SK_pi and SK_pr: each prf+(PPK, SK') (RFC 8784 3)."""
        function, keys = prf(self.suite.prf), self.keys

        def mix(key: Secret) -> Secret:
            return function.plus(ppk, key.expose(), len(key))

        return replace(
            self, keys=replace(keys, sk_d=mix(keys.sk_d), sk_pi=mix(keys.sk_pi), sk_pr=mix(keys.sk_pr))
        )

    def renewed_by_ppk(self, ppk: Secret, seed: Seed) -> KeySchedule:
        """With a PPK in all keys, before IKE_AUTH: SKEYSEED' = prf+(PPK, SK_d) (RFC 9867 3.1)."""
        function = prf(self.suite.prf)
        return self._expanded(self.suite, function.plus(ppk, self.keys.sk_d.expose(), function.size), seed)

    def rekeyed(self, suite: IkeSuite, secrets: Sequence[Secret], seed: Seed) -> KeySchedule:
        """Of the IKE SA that replaces this one (RFC 7296 2.18); `secrets` (at least one), `seed`: its own.

        SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | ... | SK(n)) (RFC 9370 2.2.4), by the old SA's
        PRF; everything else follows the new suite.
        """
        return self._continued(suite, secrets, seed)

    def child_keys(
        self, nonce_i: bytes, nonce_r: bytes, secrets: Sequence[Secret], length: int
    ) -> tuple[Secret, Secret]:
        """KEYMAT of a Child SA (RFC 7296 2.17): keys initiator to responder, keys responder to initiator.

        Each is `length` bytes: the encryption key with its salt, then the integrity key. The initiator is the
        one of the exchange that creates the Child SA, whose nonces these are; `secrets` are those of its key
        exchanges, if it has any: prf+(SK_d, SK(0) | Ni | Nr | SK(1) | ... | SK(n)) (RFC 9370 2.2.4).
        LocalMisuse if `length` is beyond what prf+ can give.
        """
        seed = _seed(secrets, nonce_i, nonce_r)
        to_responder, to_initiator = (
            prf(self.suite.prf).plus(self.keys.sk_d, seed, 2 * length).split(length, length)
        )
        return to_responder, to_initiator

    def wipe(self) -> None:
        """Overwrite the keys."""
        self.keys.wipe()

    def _continued(self, suite: IkeSuite, secrets: Sequence[Secret], seed: Seed) -> KeySchedule:
        skeyseed = prf(self.suite.prf).compute(self.keys.sk_d, _seed(secrets, seed.nonce_i, seed.nonce_r))
        return self._expanded(suite, Secret(skeyseed), seed)

    @classmethod
    def _expanded(cls, suite: IkeSuite, skeyseed: Secret, seed: Seed) -> KeySchedule:
        """The seven keys: prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) (RFC 7296 2.14)."""
        if is_aead(suite.encr) == bool(suite.integ):
            raise LocalMisuse("an AEAD stands without an integrity algorithm, any other cipher with one")
        function = prf(suite.prf)
        integ_size = integ_key_size(suite.integ)
        encr_size = encr_key_size(suite.encr, suite.key_bits)
        sizes = (function.size, integ_size, integ_size, encr_size, encr_size, function.size, function.size)
        keymat = function.plus(skeyseed, b"".join(astuple(seed)), sum(sizes))
        keys = IkeKeys(*keymat.split(*sizes))
        keymat.wipe()
        skeyseed.wipe()
        return cls(suite, keys)


def _seed(secrets: Sequence[Secret], nonce_i: bytes, nonce_r: bytes) -> bytes:
    """SK(0) | Ni | Nr | SK(1) | ... | SK(n); just the nonces without a key exchange."""
    first, further = secrets[:1], secrets[1:]
    exposed = [*(one.expose() for one in first), nonce_i, nonce_r, *(one.expose() for one in further)]
    return b"".join(exposed)
