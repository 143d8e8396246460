"""Certificates, CRLs and public keys that a configuration names: files, or PEM in the text itself.

A relative name is looked for where swanctl looks, in `x509`, `x509ca` or `pubkey` beside the configuration
file, and then beside that file itself. All files of the directories that swanctl knows are read, too; those
of ipsec.conf are in `ipsec.d`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import PlainValidator, ValidationInfo

from ikepy.config import files, files_read, values
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.crl import MAX_CRL, Crl, crl
from ikepy.crypto.x509.encoding import MARK
from ikepy.crypto.x509.public_key import PublicKey, public_key
from ikepy.errors import ConfigError

MAX_FILE = 262144  # octets of a certificate's or key's: PEM, with what stands beside it
MAX_FILES = 4096  # of one directory
T = TypeVar("T")
ALLOWED = "allowed: a file in PEM or DER, or PEM itself"


@dataclass(frozen=True, slots=True)
class Kind:
    """`directory`: where swanctl has them. `size`: octets that a file may have."""

    directory: str
    size: int = MAX_FILE


X509, X509CA, X509OCSP, X509CRL, PUBKEY = (
    Kind("x509"),
    Kind("x509ca"),
    Kind("x509ocsp"),
    Kind("x509crl", 2 * MAX_CRL),
    Kind("pubkey"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories beside a configuration file of some format.

    `only_named`: of certificates, and of public and private keys, only those are read that the file names.
    """

    certificates: Kind
    cas: Kind
    responders: Kind
    crls: Kind
    public_keys: Kind
    only_named: bool = False


SWANCTL = Layout(X509, X509CA, X509OCSP, X509CRL, PUBKEY)


def ca_certificate(data: bytes) -> Certificate:
    """As `certificate`, of a CA. ValueError."""
    found = certificate(data)
    if not found.is_ca:
        raise ValueError("it is no CA's: its basicConstraints do not say so")
    return found


CaCertificate = Annotated[
    Certificate, PlainValidator(lambda value, info: ca_certificate(content(value, info, X509CA)))
]


@dataclass(frozen=True, slots=True)
class Directories:
    """What the directories beside a configuration file hold."""

    certificates: tuple[Certificate, ...] = ()
    cas: tuple[Certificate, ...] = ()
    responders: tuple[Certificate, ...] = ()
    crls: tuple[Crl, ...] = ()
    public_keys: tuple[PublicKey, ...] = ()
    layout: Layout = field(default=SWANCTL, compare=False)


def files_of(directory: Path) -> tuple[str, ...]:
    """The names of a directory's files; none if it is not there. ConfigError where it may not be looked into:
    a reload must not take that for a directory without CAs."""
    try:
        return files_read.expand(files.in_directory(directory.absolute(), "*"))
    except OSError as error:
        raise ConfigError(directory, [("", f"can't be looked into: {error.strerror}")]) from None


def read_directories(beside: Path, tell: Callable[[str, str], None], layout: Layout = SWANCTL) -> Directories:
    """Read them. `tell`: is told each file that can't be used, as swanctl goes on with the others.

    Raises ConfigError as `files_of`.
    """

    def each(kind: Kind, read: Callable[[bytes], T]) -> tuple[T, ...]:
        return tuple(_all(beside / kind.directory, kind, read, tell))

    return Directories(
        () if layout.only_named else each(layout.certificates, certificate),
        each(layout.cas, ca_certificate),
        each(layout.responders, certificate),
        each(layout.crls, crl),
        () if layout.only_named else each(layout.public_keys, public_key),
        layout,
    )


def _all(
    directory: Path, kind: Kind, read: Callable[[bytes], T], tell: Callable[[str, str], None]
) -> Iterator[T]:
    names = files_of(directory)
    if len(names) > MAX_FILES:
        tell(str(directory), f"has too many files; allowed: at most {MAX_FILES}")
    for name in names[:MAX_FILES]:
        try:
            yield read(_content(Path(name), kind))
        except (FileNotFoundError, ValueError) as error:  # it may have gone meanwhile
            tell(name, f"is left out: {error}")


def content(value: object, info: ValidationInfo, kind: Kind) -> bytes:
    """What a configuration's value names, or is. ValueError."""
    text = values.text(value)
    if MARK.decode() in text:
        return text.encode()
    if "\0" in text or not text:
        raise ValueError(ALLOWED)
    directory = info.context.get("directory") if isinstance(info.context, dict) else None
    base = Path(directory or ".")
    found = base / kind.directory / text
    if not Path(text).is_absolute() and not _exists(found):
        found = base / text
    try:
        return _content(found, kind)
    except FileNotFoundError as error:
        beside = f", and none that can be read in {base / kind.directory}" if "/" not in text else ""
        raise ValueError(f"{error}{beside}; {ALLOWED}") from None


def _exists(path: Path) -> bool:
    try:
        with files.open_file(path):
            return True
    except OSError:
        return False


def _content(path: Path, kind: Kind) -> bytes:
    """What a file holds. FileNotFoundError, ValueError."""
    try:
        return files_read.content(path, kind.size)[0]
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no file {path}") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {ALLOWED}") from None
