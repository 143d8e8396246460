"""What the commands of `ikepy pki` have in common: options in pki(1)'s words, input, output, and errors."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from cryptography import x509

from ikepy import option_types
from ikepy.option_types import Number
from ikepy.pki import certificates, crl, files, keys
from ikepy.pki.certificates import Contents
from ikepy.pki.keys import PrivateKey, PublicKey

F = TypeVar("F", bound=Callable[..., None])
T = TypeVar("T")
DATEFORM = "%d.%m.%y %H:%M:%S"  # pki's %d.%m.%y %T
FILE = option_types.FILE
DAYS = Number(min=0, min_open=True, max=36500)
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def guarded(function: F) -> F:
    """What is wrong with the input is told in a line, with exit status 1."""

    def run(*arguments: Any, **given: Any) -> None:
        try:
            function(*arguments, **given)
        except ValueError as error:
            say(str(error))
            sys.exit(1)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    if hasattr(function, "__click_params__"):
        run.__click_params__ = function.__click_params__  # type: ignore[attr-defined]
    return run  # type: ignore[return-value]


def say(text: str) -> None:
    """A line on standard error, without what a terminal would act on."""
    click.echo(f"ikepy: {''.join(c if c.isprintable() else '?' for c in text)}", err=True)


def options(*several: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one decorator, shown in this order."""

    def add(function: F) -> F:
        for option in reversed(several):
            function = option(function)
        return function

    return add


def in_option(what: str) -> Callable[[Any], Any]:
    return click.option(
        "-i", "--in", "source", type=FILE, metavar="FILE", help=f"{what}.  [default: standard input]"
    )


output = options(
    click.option(
        "-f", "--outform", type=click.Choice(tuple(keys.OUTFORMS)), default="pem", show_default=True,
        help="How it is encoded.",
    ),
    click.option("--out", type=FILE, metavar="FILE", help="Where it goes.  [default: standard output]"),
    click.option("--force", is_flag=True, help="Put the file in place of one that is there."),
)  # fmt: skip
signature = options(
    click.option("-g", "--digest", type=click.Choice(tuple(keys.DIGESTS)), help="Of the signature."),
    click.option(
        "-R",
        "--rsa-padding",
        type=click.Choice(("pkcs1", "pss")),
        help="Of RSA signatures.  [default: pkcs1]",
    ),
)
password_option = click.option(
    "--password-file", type=FILE, metavar="FILE", help="The private key's password.  [default: ask for it]"
)
ca_options = options(
    click.option("-c", "--cacert", type=FILE, required=True, metavar="FILE", help="The CA's certificate."),
    click.option("-k", "--cakey", type=FILE, required=True, metavar="FILE", help="The CA's private key."),
    password_option,
)
name_options = options(
    click.option("-d", "--dn", metavar="DN", help='The subject, as "C=CH, O=strongSwan, CN=moon".'),
    click.option(
        "-a", "--san", multiple=True, metavar="NAME",
        help="An alternative name: an address, a DNS name, user@name, a DN; or one behind dns:, email:, ip:, "
        "uri:, dn:.",
    ),
)  # fmt: skip


def validity_options(days: float, begin: str, end: str) -> Callable[[F], F]:
    return options(
        click.option("-l", "--lifetime", type=DAYS, default=days, show_default=True, metavar="DAYS"),
        click.option("-F", f"--{begin}", "begin", metavar="TIME", help="When the validity begins, in UTC."),
        click.option("-T", f"--{end}", "end", metavar="TIME", help="When it ends, in UTC."),
        click.option(
            "-D", "--dateform", default=DATEFORM, metavar="FORM",
            help="The form of times (strptime(3)).  [default: %d.%m.%y %T]",
        ),
    )  # fmt: skip


contents_options = options(
    name_options,
    validity_options(certificates.LIFETIME, "not-before", "not-after"),
    click.option("-s", "--serial", metavar="HEX", help="The serial number.  [default: random]"),
    click.option("-b", "--ca", is_flag=True, help="Make it a CA's."),
    click.option("-p", "--pathlen", type=click.IntRange(0, 127), metavar="LEN", help="CAs below it."),
    click.option("-n", "--nc-permitted", multiple=True, metavar="NAME", help="Names that it may certify."),
    click.option("-N", "--nc-excluded", multiple=True, metavar="NAME", help="Names that it may not."),
    click.option(
        "-e", "--flag", multiple=True, type=click.Choice((*certificates.FLAGS, certificates.CRL_SIGN)),
        help="An extended key usage.",
    ),
    click.option("-u", "--crl", "crls", multiple=True, metavar="URI", help="Where the CRL is."),
    click.option("-o", "--ocsp", multiple=True, metavar="URI", help="Where the OCSP responder is."),
    signature,
)  # fmt: skip


def contents(given: dict[str, Any]) -> Contents:
    """What `contents_options` say. Raises ValueError."""
    serial = None if given["serial"] is None else serial_number(given["serial"])
    return Contents(
        dn=given["dn"] or "",
        san=given["san"],
        lifetime=given["lifetime"],
        not_before=time_of(given["begin"], given["dateform"]),
        not_after=time_of(given["end"], given["dateform"]),
        serial=serial,
        ca=given["ca"],
        path_length=given["pathlen"],
        flags=given["flag"],
        crl=given["crls"],
        ocsp=given["ocsp"],
        permitted=given["nc_permitted"],
        excluded=given["nc_excluded"],
        digest=given["digest"],
        rsa_padding=given["rsa_padding"],
    )


def time_of(text: str | None, form: str) -> datetime | None:
    """A time in UTC as an option has it. ValueError."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, form.replace("%T", "%H:%M:%S")).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f'"{text}" is no time of the form "{form}"') from None


def serial_number(text: str) -> int:
    """A serial number in hex digits, of at most 20 octets (RFC 5280 4.1.2.2). ValueError."""
    digits = text.lower().removeprefix("0x").replace(":", "")
    try:
        number = int(digits, 16) if digits.isalnum() else 0
    except ValueError:
        number = 0
    if not 0 < number < 1 << 159:
        raise ValueError(f'"{text}" is no serial number; allowed: hex digits, at most 20 octets, not 0')
    return number


def read_private(path: Path | None, password_file: Path | None) -> PrivateKey:
    """A private key; its password is asked for if it needs one. Raises ValueError."""
    data = files.read(path)
    password = None if password_file is None else read_password(password_file)
    try:
        return keys.load_private(data, password)
    except ValueError as error:
        if password is None and "is encrypted" in str(error) and path is not None and sys.stdin.isatty():
            asked = click.prompt(f"Password of {path}", hide_input=True, err=True)
            return keys.load_private(data, asked.encode())
        raise ValueError(f"{_name(path)}: {error}") from None


def read_password(path: Path) -> bytes:
    """A password is a file's first line. Raises ValueError."""
    password = files.read(path).split(b"\n", 1)[0].removesuffix(b"\r")
    if not password:
        raise ValueError(f"{path}: the password is empty")
    return password


def read_certificate(path: Path | None) -> x509.Certificate:
    """An X.509 certificate. Raises ValueError."""
    return _read(path, certificates.load)


def read_crl(path: Path | None) -> x509.CertificateRevocationList:
    """A CRL. Raises ValueError."""
    return _read(path, crl.load)


def read_public(path: Path | None, kind: str, password_file: Path | None = None) -> PublicKey:
    """The public key of something of a kind: pub, priv, rsa, ..., pkcs10, x509. Raises ValueError."""
    if kind == "pub":
        return _read(path, keys.load_public)
    if kind == "x509":
        return _read(path, lambda data: certificates.public_key(certificates.load(data)))
    if kind == "pkcs10":
        return _read(path, lambda data: certificates.public_key(certificates.load_request(data)))
    return read_private(path, password_file).public_key()


def _read(path: Path | None, load: Callable[[bytes], T]) -> T:
    try:
        return load(files.read(path))
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(_name(path)) else f"{_name(path)}: {text}") from None


def _name(path: Path | None) -> str:
    return "standard input" if path is None else str(path)


def write(data: bytes, out: Path | None, force: bool, *, private: bool = False) -> None:
    """Make the file, or print. Raises ValueError, also where a private key would get into a file that others
    may read."""
    if out is not None:
        files.write(out, data, private=private, overwrite=force)
        return
    if private and _is_open_to_others():
        raise ValueError("standard output is a file that others may read: name the file with --out")
    click.echo(data, nl=False)


def _is_open_to_others() -> bool:
    try:
        status = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False  # no file
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & OTHERS)
