"""Selects the authentication method of a connection."""

from __future__ import annotations

from ikepy.config.model import Connection
from ikepy.sa.auth.authenticator import Authenticator
from ikepy.sa.auth.psk import PreSharedKey

_PSK = PreSharedKey()


def authenticator_of(connection: Connection) -> Authenticator:
    """The authentication method of `connection`; the pre-shared key is the only one so far."""
    return _PSK
