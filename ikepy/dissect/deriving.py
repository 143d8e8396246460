"""Derives the keys of IKE SAs and their children from what was seen, where secrets are known.

RFC 7296 2.14 to 2.18, RFC 9370 2.2. Whatever is lacking or unknown ends the derivation, quietly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ikepy.crypto.algorithms import PRF, integ_key_size
from ikepy.crypto.captured import ENCRYPTION_BY_ID, INTEGRITY_BY_ID
from ikepy.crypto.key_schedule import IkeSuite, Seed
from ikepy.dissect import derivation
from ikepy.dissect.derivation import SkKeys, Step
from ikepy.dissect.keys import EspKeys, IkeKeys, Keys
from ikepy.dissect.seen import Created, Publics, Seen, first, key_bits, suite_of, transform
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import ProtocolId, TransformType
from ikepy.wire.payloads import SaPayload

_IKE_SPI, _ESP_SPI = 8, 4  # octets


class Deriving:
    """Adds what it derives to `keys`, and the steps to the IKE SA."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def secrets(self, of: Sequence[Publics]) -> list[bytes] | None:
        """What these key exchanges gave; None unless all is known."""
        found = [one for pair in of if (one := self._keys.secrets.get(pair)) is not None]
        return found if len(found) == len(of) else None

    def newest(self, seen: Seen) -> tuple[int, bytes] | None:
        """PRF and SK_d: those that were told, and else those that were derived."""
        for told in self._keys.of_ike(seen.seed.spi_i, seen.seed.spi_r):
            if told.prf in PRF and told.sk_d:
                return told.prf, told.sk_d
        if seen.keys is None or seen.suite is None:
            return None
        return seen.suite.prf, seen.keys.sk_d

    def ike_sa(self, seen: Seen) -> None:
        """From the key exchanges of IKE_SA_INIT and IKE_INTERMEDIATE, as far as their secrets are known."""
        suite, keys = seen.suite, None
        for number, pair in enumerate(seen.publics if suite is not None else []):
            secret = self._keys.secrets.get(pair)
            if suite is None or secret is None:
                return
            if number == 0:
                keys = self._derive(seen, suite, partial(derivation.initial, suite, secret, seen.seed))
            elif keys is not None:
                how = partial(derivation.further, suite, keys, secret, seen.seed, number)
                keys = self._derive(seen, suite, how)
        seen.keys = None if seen.ppk else keys

    def rekeyed(
        self, seen: Seen, created: Created, secrets: Sequence[bytes], nonce_i: bytes, nonce_r: bytes
    ) -> Seen | None:
        """The IKE SA that replaces this one."""
        offered, chosen = first(created.asked, SaPayload), first(created.payloads, SaPayload)
        former = self.newest(seen)
        if offered is None or chosen is None:
            return None
        spi_i, spi_r = offered.proposals[0].spi, chosen.proposals[0].spi
        if len(spi_i) != _IKE_SPI or len(spi_r) != _IKE_SPI:
            return None
        suite, seed = suite_of(chosen.proposals[0]), Seed(nonce_i, nonce_r, spi_i, spi_r)
        new = Seen(b"", b"", seed, suite)
        if suite is not None and secrets and former is not None:
            how = partial(derivation.rekeyed, *former, suite, secrets, seed)
            new.keys = self._derive(new, suite, how)
        return new

    def child(
        self, seen: Seen, created: Created, secrets: Sequence[bytes], nonce_i: bytes, nonce_r: bytes
    ) -> None:
        """The keys of a CHILD_SA, for both directions."""
        offered, chosen = first(created.asked, SaPayload), first(created.payloads, SaPayload)
        former = self.newest(seen)
        if offered is None or chosen is None or former is None:
            return
        agreed = chosen.proposals[0]
        to_initiator = next((one.spi for one in offered.proposals if one.number == agreed.number), b"")
        encryption = ENCRYPTION_BY_ID.get(transform(agreed, TransformType.ENCR))
        integrity = INTEGRITY_BY_ID.get(transform(agreed, TransformType.INTEG))
        if agreed.protocol != ProtocolId.ESP or encryption is None:
            return
        if len(agreed.spi) != _ESP_SPI or len(to_initiator) != _ESP_SPI:
            return
        bits = key_bits(agreed)
        size = (encryption.key if bits is None else bits // 8) + encryption.salt
        esn = bool(transform(agreed, TransformType.ESN))
        prf_id, sk_d = former
        try:
            integ_size = integ_key_size(None if integrity is None else integrity.id)
            steps, to_r, to_i = derivation.child(prf_id, sk_d, nonce_i, nonce_r, secrets, size, integ_size)
            for spi, (key, integ_key) in ((agreed.spi, to_r), (to_initiator, to_i)):
                number = int.from_bytes(spi, "big")
                self._keys.add_esp(EspKeys(number, encryption, key, integrity, integ_key, esn=esn))
        except (LocalMisuse, ValueError):  # an algorithm or a key length that we don't have
            return
        named = f"CHILD_SA {to_initiator.hex()} / {agreed.spi.hex()}"
        seen.add_steps([replace(one, name=f"{named}: {one.name}") for one in steps])

    def _derive(
        self, seen: Seen, suite: IkeSuite, how: Callable[[], tuple[list[Step], SkKeys]]
    ) -> SkKeys | None:
        """Use the keys that `how` derives; None if they are of an algorithm that we don't have."""
        encryption = ENCRYPTION_BY_ID.get(suite.encr)
        integrity = None if suite.integ is None else INTEGRITY_BY_ID.get(suite.integ)
        if encryption is None:
            return None
        try:
            steps, keys = how()
            sealing = (encryption, keys.sk_ei, keys.sk_er, integrity, keys.sk_ai, keys.sk_ar)
            rest = (suite.prf, keys.sk_d, keys.sk_pi, keys.sk_pr)
            self._keys.add_ike(IkeKeys(seen.seed.spi_i, seen.seed.spi_r, *sealing, *rest))
        except (LocalMisuse, ValueError):
            return None
        seen.add_steps(steps)
        return keys
