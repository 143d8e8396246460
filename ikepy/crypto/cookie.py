"""Cookies: proof that an initiator receives at the address it sends from, without state (RFC 7296 2.6)."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from ikepy.crypto.auth import same
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import Prf

LIFETIME = 60.0  # seconds until the secret is replaced; cookies of the previous secret stay valid
SECRET_SIZE = 32
COOKIE_SIZE = 33  # octets


class CookieJar:
    """Makes and verifies cookies: one byte that identifies the secret, then a MAC.

    Time is cut into periods of `LIFETIME` seconds, each with a secret of its own that is drawn from `random`
    (bytes wanted -> bytes) when it is first needed. At most two secrets are kept.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._secrets: dict[int, Secret] = {}

    def make(self, spi_i: bytes, nonce_i: bytes, address: IPv4Address | IPv6Address, now: float) -> bytes:
        """A cookie of COOKIE_SIZE bytes for this IKE_SA_INIT request. `now` in seconds, monotonic."""
        period = self._enter(now)
        if period not in self._secrets:
            self._secrets[period] = Secret(self._random(SECRET_SIZE))
        return _bake(period, self._secrets[period], spi_i, nonce_i, address)

    def valid(
        self, cookie: bytes, spi_i: bytes, nonce_i: bytes, address: IPv4Address | IPv6Address, now: float
    ) -> bool:
        """Whether `cookie` was made here for the same SPI, nonce and address, in this period or the last."""
        self._enter(now)
        return any(
            same(cookie, _bake(period, secret, spi_i, nonce_i, address))
            for period, secret in self._secrets.items()
            if cookie[:1] == _name(period)
        )

    def _enter(self, now: float) -> int:
        period = int(now // LIFETIME)
        for old in [known for known in self._secrets if known < period - 1]:
            self._secrets.pop(old).wipe()
        return period


def _name(period: int) -> bytes:
    return bytes([period & 0xFF])


def _bake(
    period: int, secret: Secret, spi_i: bytes, nonce_i: bytes, address: IPv4Address | IPv6Address
) -> bytes:
    # The variable-length nonce comes last, so that different inputs never concatenate to the same bytes.
    place = bytes([address.version]) + address.packed
    return _name(period) + prf(Prf.HMAC_SHA2_256).compute(secret, spi_i, place, nonce_i)
