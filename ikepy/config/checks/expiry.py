"""Certificates and CRLs of a configuration that have expired or soon will, for `ikepy check` and the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from ikepy.config.model import Config
from ikepy.crypto.x509.certificate import Certificate, certificate

SOON = 30 * 86400.0  # seconds


def notes(config: Config, at: float) -> list[tuple[str, str]]:
    """All of them, as (key path, text). `at`: now, in seconds since 1970."""
    first = {one: key for key, one in reversed(list(certificates(config)))}  # each is told once
    found = ((key, one, expiry(one, at)) for one, key in first.items())
    of_certificates = [(key, f"{one}: {text}") for key, one, text in found if text][::-1]
    return [*of_certificates, *_stale(config, at)]


def _stale(config: Config, at: float) -> Iterator[tuple[str, str]]:
    """CRLs that are out of date, where there is none of their CA that is not."""
    crls = config.directories.crls
    current = {one.raw_issuer for one in crls if one.is_current(at)}
    for one in crls:
        if one.next_update is not None and one.next_update < at and one.raw_issuer not in current:
            day = f"{datetime.fromtimestamp(one.next_update, UTC):%Y-%m-%d %H:%M} UTC"
            yield (
                "x509crl",
                f'the CRL of "{one.issuer}" is out of date since {day}: it still revokes what it lists, but '
                'says of no other certificate that it is good, and revocation = "strict" refuses those: put '
                "a new one in its place",
            )


def expiry(one: Certificate, at: float) -> str:
    """What is to be said of it, as "expires on 2026-01-02, in 5 days"; "" if there is time."""
    day = f"{one.found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if at > one.not_after:
        return f"it has expired on {day}: peers refuse it; replace it"
    if at > one.not_after - SOON:
        return f"it expires on {day}, in {int((one.not_after - at) // 86400)} days: replace it in time"
    return ""


def certificates(config: Config) -> Iterator[tuple[str, Certificate]]:
    """Those that a configuration names or that lie beside it, each with its key path."""
    for name, connection in config.connections.items():
        for side, auth in connection.ends.items():
            for key in ("certs", "cacerts"):
                for index, der in enumerate(getattr(auth, key, ())):
                    yield f"connections.{name}.{side}.{key}[{index}]", certificate(der)
    for name, authority in config.authorities.items():
        yield f"authorities.{name}.cacert", authority.cacert
    beside = config.directories
    for directory, several in (
        (beside.layout.certificates.directory, beside.certificates),
        (beside.layout.cas.directory, beside.cas),
        (beside.layout.responders.directory, beside.responders),
    ):
        for one in several:
            yield directory, one
