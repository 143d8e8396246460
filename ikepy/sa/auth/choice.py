"""Which method authenticates the two ends of a connection."""

from __future__ import annotations

from ikepy.config.model import Connection
from ikepy.sa.auth.authenticator import Authenticator
from ikepy.sa.auth.psk import PreSharedKey

_PSK = PreSharedKey()


def authenticator_of(connection: Connection) -> Authenticator:
    """The one of `connection`: a pre-shared key is the only method here."""
    return _PSK
