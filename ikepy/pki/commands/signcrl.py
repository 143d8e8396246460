"""`ikepy pki signcrl`: a CA's list of revoked certificates."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.option_types import Number
from ikepy.pki import certificates, crl, options


@click.command(
    epilog=examples(
        "ikepy pki signcrl --cacert ca.crt --cakey ca.key --out ca.crl",
        "ikepy pki signcrl --cacert ca.crt --cakey ca.key --lastcrl ca.crl --reason key-compromise \\",
        "    --cert user.crt --out ca.crl --force",
    )
)
@options.ca_options
@options.validity_options(crl.LIFETIME, "this-update", "next-update")
@click.option("-a", "--lastcrl", type=options.FILE, metavar="FILE", help="The last CRL, whose entries stay.")
@click.option(
    "-z", "--cert", multiple=True, type=options.FILE, metavar="FILE", help="A certificate to revoke."
)
@click.option("-s", "--serial", multiple=True, metavar="HEX", help="The serial number of one to revoke.")
@click.option("-r", "--reason", type=click.Choice(tuple(crl.REASONS)), help="Why these are revoked.")
@click.option("-d", "--date", type=Number(), metavar="SECONDS", help="When, since 1970.  [default: now]")
@options.signature
@options.output
@options.guarded
def signcrl(
    cacert: Path,
    cakey: Path,
    password_file: Path | None,
    lifetime: float,
    begin: str | None,
    end: str | None,
    dateform: str,
    lastcrl: Path | None,
    cert: tuple[Path, ...],
    serial: tuple[str, ...],
    reason: str | None,
    date: float | None,
    digest: str | None,
    rsa_padding: str | None,
    outform: str,
    out: Path | None,
    force: bool,
) -> None:
    """Sign a certificate revocation list.

    The reason and the date are those of all certificates named: run it again, with --lastcrl, for others.
    """
    numbers = [options.read_certificate(path).serial_number for path in cert]
    numbers += [options.serial_number(text) for text in serial]
    when = None if date is None else crl.revoked_at(date)
    made = crl.sign(
        options.read_private(cakey, password_file),
        options.read_certificate(cacert),
        [crl.Revoked(number, reason, when) for number in numbers],
        last=None if lastcrl is None else options.read_crl(lastcrl),
        lifetime=lifetime,
        this_update=options.time_of(begin, dateform),
        next_update=options.time_of(end, dateform),
        digest=digest,
        rsa_padding=rsa_padding,
    )
    options.write(certificates.encode(made, outform), out, force)
