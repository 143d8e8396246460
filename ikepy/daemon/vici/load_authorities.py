"""VICI's commands for certification authorities: load-authority, unload-authority, and what lists them.

Their CAs are trusted, and asked for CRLs and OCSP responses where they say that they can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ikepy.crypto.x509.certificate import MAX_CERTIFICATE, Certificate, certificate
from ikepy.daemon.credentials.collection import Authority, Collection
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure

URIS = ("crl_uris", "ocsp_uris")
KEYS = ("cacert", "file", "cert_uri_base", *URIS)
TOKEN = ("handle", "slot", "module")


@dataclass(slots=True)
class LoadAuthorities:
    """Executes them."""

    credentials: Collection

    async def load_authority(self, given: Decoded, _: Stream) -> Pairs:
        """Keep the authorities of the message, each in place of one of its name; none if one is bad."""
        loaded = {name: await asyncio.to_thread(_authority, name, value) for name, value in given.items()}
        try:
            self.credentials.load_authorities(loaded)
        except ValueError as error:
            return failure(str(error))
        return SUCCESS

    async def unload_authority(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("name",))
        name = arguments.text(given, "name")
        if name is None:
            return failure("unload: missing authority name")
        if not self.credentials.unload_authority(name):
            return failure(f"unload: authority '{name}' not found")
        return SUCCESS

    async def get_authorities(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ())
        # As swanctl unloads those of them that its file does not have.
        return [("authorities", self.credentials.of_vici)]

    async def list_authorities(self, given: Decoded, stream: Stream) -> Pairs:
        """An event for each."""
        arguments.unknown(given, ("name",))
        wanted = arguments.text(given, "name")
        for name, authority in self.credentials.authorities.items():
            if wanted not in (None, name):
                continue
            section: dict[str, Value] = {
                "cacert": str(authority.cacert.subject),
                "crl_uris": authority.crl_uris,
                "ocsp_uris": authority.ocsp_uris,
            }
            if authority.cert_uri_base is not None:
                section["cert_uri_base"] = authority.cert_uri_base
            await stream.send("list-authority", [(name, section)])
        return []


def _authority(name: str, value: bytes | list[bytes] | Decoded) -> Authority:
    """What a section says. Raises ViciError."""
    if not isinstance(value, dict) or not name.isprintable():
        raise ViciError(f"authorities.{name[:40]!r} must be a section with a printable name")
    for key in value:
        if key in TOKEN:
            raise ViciError(
                f"authorities.{name}.{key}: tokens (PKCS#11) are not supported by ikepy: use cacert"
            )
        if key not in KEYS:
            allowed = ", ".join(KEYS)
            raise ViciError(f"unknown option: {key[:40]!r}, authority discarded; allowed: {allowed}")
    base = arguments.text(value, "cert_uri_base")
    crl_uris, ocsp_uris = (tuple(_printable(value.get(key, []), key)) for key in URIS)
    return Authority(_cacert(name, value), crl_uris, ocsp_uris, base)


def _cacert(name: str, value: Decoded) -> Certificate:
    data, file = value.get("cacert"), arguments.text(value, "file")
    if data is None and file is not None:
        data = _content(name, file)
    if not isinstance(data, bytes) or not data:
        raise ViciError(f"CA certificate missing: {name}")
    try:
        found = certificate(data)
    except ValueError as error:
        raise ViciError(f"parsing X509 certificate failed: authorities.{name}.cacert: {error}") from None
    if not found.is_ca:
        raise ViciError(f"certificate without CA flag, rejected: authorities.{name}.cacert")
    return found


def _content(name: str, file: str) -> bytes:
    path = Path(file)
    try:
        if not path.is_absolute() or not path.is_file():
            raise ViciError(f"authorities.{name}.file must be the absolute path of a file")
        with path.open("rb") as opened:
            return opened.read(MAX_CERTIFICATE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise ViciError(f"authorities.{name}.file can't be read: {why}") from None


def _printable(value: bytes | list[bytes] | Decoded, key: str) -> Iterator[str]:
    try:
        for item in value if isinstance(value, list) else [b"\n"]:
            text = item.decode()
            if not text.isprintable():
                raise ValueError
            yield text
    except ValueError:
        raise ViciError(f"invalid value for: {key}, authority discarded; allowed: a list of URIs") from None
