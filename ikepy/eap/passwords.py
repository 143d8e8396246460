"""Users' passwords, as methods look them up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ikepy.crypto.mschapv2 import nt_hash
from ikepy.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class Password:
    """A user's secret. `hashed`: it is the NT hash of the password, MD4 of UTF-16 (swanctl's `ntlm`)."""

    secret: Secret
    hashed: bool = False

    @property
    def nt_hash(self) -> Secret:
        return self.secret if self.hashed else nt_hash(self.secret)


PasswordOf = Callable[[str], Password | None]  # by the EAP identity
