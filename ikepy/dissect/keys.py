"""The keys that an onlooker was given: of IKE SAs, of ESP SAs, and the secrets of key exchanges."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TypeVar

from ikepy.crypto.captured import CapturedCipher, Encryption, Integrity
from ikepy.sa.api.path import Address

MAX_TRIED = 16  # sets of keys for one SA
MAX_SAS = 100_000

Sa = tuple[bytes, bytes] | int | None
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The keys of an IKE SA (RFC 7296 2.14). Those from `prf` on are not in Wireshark's table: 0 and empty.

    `sk_ei` and `sk_er` end in the salt of an AEAD or of CTR. ValueError if a key does not fit its algorithm.
    """

    spi_i: bytes
    spi_r: bytes
    encryption: Encryption
    sk_ei: bytes = field(repr=False)
    sk_er: bytes = field(repr=False)
    integrity: Integrity | None = None
    sk_ai: bytes = field(default=b"", repr=False)
    sk_ar: bytes = field(default=b"", repr=False)
    prf: int = 0
    sk_d: bytes = field(default=b"", repr=False)
    sk_pi: bytes = field(default=b"", repr=False)
    sk_pr: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        self.cipher(initiator=True)
        self.cipher(initiator=False)

    def cipher(self, *, initiator: bool) -> CapturedCipher:
        """Opens what the IKE SA's original initiator sent, or its responder."""
        if initiator:
            return CapturedCipher(self.encryption, self.sk_ei, self.integrity, self.sk_ai)
        return CapturedCipher(self.encryption, self.sk_er, self.integrity, self.sk_ar)


@dataclass(frozen=True, slots=True)
class EspKeys:
    """The keys of one ESP SA. Addresses are as Wireshark has them: an address, a network, or "*" for any.

    `spi` None: any. `esn`: extended sequence numbers. ValueError as `IkeKeys`.
    """

    spi: int | None
    encryption: Encryption
    key: bytes = field(repr=False)
    integrity: Integrity | None = None
    integrity_key: bytes = field(default=b"", repr=False)
    version: int = 4
    source: str = "*"
    destination: str = "*"
    esn: bool = False

    def __post_init__(self) -> None:
        self.cipher()

    def cipher(self) -> CapturedCipher:
        return CapturedCipher(self.encryption, self.key, self.integrity, self.integrity_key)

    def fits(self, source: Address, destination: Address) -> bool:
        """Whether packets between these addresses may be of it."""
        return _is_in(source, self.source) and _is_in(destination, self.destination)


def _is_in(address: Address, pattern: str) -> bool:
    if pattern == "*":
        return True
    try:
        return address in ip_network(pattern, strict=False)
    except ValueError:
        return False


@dataclass(slots=True)
class Keys:
    """All that is known. An SA's newest keys are tried first; of too many SAs the oldest are forgotten."""

    ike: dict[tuple[bytes, bytes], list[IkeKeys]] = field(default_factory=dict)
    esp: dict[int | None, list[EspKeys]] = field(default_factory=dict)
    secrets: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict, repr=False)
    _new: set[Sa] = field(default_factory=set, repr=False, compare=False)
    _new_secrets: bool = field(default=False, repr=False, compare=False)

    def add_ike(self, keys: IkeKeys) -> None:
        known = self.ike.setdefault((keys.spi_i, keys.spi_r), [])
        if keys not in known:
            known.insert(0, keys)
            del known[MAX_TRIED:]
            self._new.add((keys.spi_i, keys.spi_r))
            _bound(self.ike)

    def add_esp(self, keys: EspKeys) -> None:
        known = self.esp.setdefault(keys.spi, [])
        if keys not in known:
            known.insert(0, keys)
            del known[MAX_TRIED:]
            self._new.add(keys.spi)
            _bound(self.esp)

    def add_secret(self, public_i: bytes, public_r: bytes, secret: bytes) -> None:
        """What the key exchange of these two public values gave."""
        if (public_i, public_r) not in self.secrets:
            self.secrets[public_i, public_r] = secret
            self._new_secrets = True
            _bound(self.secrets)

    def of_ike(self, spi_i: bytes, spi_r: bytes) -> list[IkeKeys]:
        return self.ike.get((spi_i, spi_r), [])

    def of_esp(self, spi: int, source: Address, destination: Address) -> list[EspKeys]:
        known = [*self.esp.get(spi, []), *self.esp.get(None, [])]
        return [one for one in known if one.fits(source, destination)]

    def new_sas(self) -> set[Sa]:
        """The SAs that got keys since the last call: IKE SAs by both SPIs, ESP SAs by theirs (None: any)."""
        found, self._new = self._new, set()
        return found

    def has_new_secrets(self) -> bool:
        """Whether there are more secrets since the last call."""
        found, self._new_secrets = self._new_secrets, False
        return found


def _bound(table: dict[K, V]) -> None:
    while len(table) > MAX_SAS:
        del table[next(iter(table))]
