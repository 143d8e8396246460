"""Texts about identities and secrets for failed authentications: for our own log, never for the peer.

They may quote what an unauthenticated peer sent, so every text has a bounded length.
"""

from __future__ import annotations

from ikepy.config.identity import Identity
from ikepy.wire.constants import AuthMethod

MAX_SHOWN = 256  # characters of an identity, of one side's proposals or of its selectors


def shortened(text: str) -> str:
    """`text`, cut to MAX_SHOWN characters."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def identity(of: Identity | None) -> str:
    """An identity with its type, as FQDN "192.0.2.1" and address "192.0.2.1" differ."""
    return "anybody" if of is None else shortened(f'{of.type_name} "{of}"')


def no_secret(local: Identity, remote: Identity) -> str:
    """Says that no secret is configured for the two identities."""
    return f"secret: no [secrets] entry fits {identity(remote)} and our {identity(local)}"


def wrong_secret(name: str, local: Identity, remote: Identity) -> str:
    """Says which entry's secret was used to check AUTH, and for which identities."""
    return (
        f"secret: the peer's is not the one of {entry(name)}, which fits "
        f"{identity(remote)} and our {identity(local)}"
    )


def no_certificate(local: Identity) -> str:
    """Says that there is no certificate, or raw public key, that shows who we are."""
    return f"certificate: none with a private key is for our {identity(local)}: see local.certs and secrets"


def entry(name: str) -> str:
    """An entry as it stands in the configuration."""
    return f"[secrets.{name}]"


def user(name: str) -> str:
    """A user's name, as it came, in quotes and printable."""
    return shortened(ascii(name))


def auth_method(method: int) -> str:
    """The name of a method of the AUTH payload (RFC 7296 3.8), or its number."""
    try:
        return AuthMethod(method).name.replace("_", " ").lower()
    except ValueError:
        return f"method {method}"
