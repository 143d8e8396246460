"""Where the machine tells its keys, so that captures of its traffic can be decrypted; nowhere by default.

What is told is secret, and stays the machine's: it may be overwritten as soon as the call returns.
"""

from __future__ import annotations

from typing import Protocol

from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret


class KeyLog(Protocol):
    """What wants to know the keys. Its methods may be called again with the same values, and never raise.

    The keys of CHILD_SAs stand in the effects that install them.
    """

    def shared_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> None:
        """What a key exchange gave: the data of both KE payloads, of the exchange's initiator first."""
        ...

    def ike_keys(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> None:
        """An IKE_SA's keys from now on. It may have several, one after the other: further key exchanges and
        postquantum preshared keys replace them before it is established (RFC 9370, RFC 8784)."""
        ...


class _Nobody:
    def shared_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> None:
        pass

    def ike_keys(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> None:
        pass


NOBODY: KeyLog = _Nobody()
