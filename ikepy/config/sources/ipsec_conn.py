"""What a section of ipsec.conf says, by key; and where the certificates are that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ikepy.config import values
from ikepy.config.credentials import credential_files
from ikepy.config.credentials.credential_files import Kind, Layout
from ikepy.config.sources.place import Value

ALIASES = {
    "keylife": "lifetime",
    "rekeymargin": "margintime",
    "leftrsasigkey": "leftsigkey",
    "rightrsasigkey": "rightsigkey",
}
Conn = Mapping[str, Value]


def said(conn: Conn, key: str) -> str | None:
    """The value of a key, or of its old name; None if it has none."""
    for name in (key, *(old for old, new in ALIASES.items() if new == key)):
        if name in conn and conn[name].text is not None:
            return conn[name].text
    return None


def listed(conn: Conn, key: str) -> list[str]:
    return [str(one) for one in values.listed(said(conn, key) or "")]


def word_of(conn: Conn, key: str, default: str) -> str:
    return (said(conn, key) or default).lower()


def directory(path: Path) -> str:
    """`ipsec.d`, seen from where the ipsec.conf at `path` is.

    That of X.config.d/a.conf, as the pod's image has it, is beside X.config.d.
    """
    return "../ipsec.d" if path.parent.name.endswith(".config.d") else "ipsec.d"


def layout(path: Path) -> Layout:
    """Where charon's plugin stroke looks: it reads all CAs, CRLs and OCSP responders, and no other file."""
    of = directory(path)
    certificates = Kind(f"{of}/certs")
    return Layout(
        certificates,
        Kind(f"{of}/cacerts"),
        Kind(f"{of}/ocspcerts"),
        Kind(f"{of}/crls", credential_files.X509CRL.size),
        certificates,
        only_named=True,
    )


def file(kind: Kind, name: str) -> str:
    """The file that a name means: a relative one is in the directory of its kind."""
    return name if name.startswith("/") else f"{kind.directory}/{name}"
