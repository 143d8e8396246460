"""`ikepy pki verify`: whether a certificate leads to a CA."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import files, options, verifying


@click.command(
    epilog=examples(
        "ikepy pki verify --in gw.crt --cacert ca.crt",
        "ikepy pki verify --in gw.crt --cacert ca.crt --cacert sub.crt --crl ca.crl --crl sub.crl",
    )
)
@options.in_option("The certificate")
@click.option("-c", "--cacert", multiple=True, type=options.FILE, metavar="FILE", help="A CA's certificate.")
@click.option("-l", "--crl", "crls", multiple=True, type=options.FILE, metavar="FILE", help="A CA's CRL.")
@options.guarded
def verify(source: Path | None, cacert: tuple[Path, ...], crls: tuple[Path, ...]) -> None:
    """Verify a certificate: its chain up to a self-signed CA, times, and CRLs where some are given.

    Exit status 1, and why, if it is not to be trusted. Nothing is fetched.
    """
    found = verifying.verify(
        files.read(source), [files.read(path) for path in cacert], [files.read(path) for path in crls]
    )
    for name in found:
        click.echo(f"  {''.join(c if c.isprintable() else '?' for c in name)}")
    revocation = "certificate not revoked" if crls else "revocation not looked at"
    click.echo(f"certificate trusted, lifetimes valid, {revocation}")
