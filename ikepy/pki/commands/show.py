"""`ikepy pki print`: a certificate, CRL, request or key as text."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import certificates, files, options, showing

KINDS = ("x509", "crl", "pkcs10", "pub", "priv", "rsa", "ecdsa", "ed25519", "ed448")


@click.command(
    "print", epilog=examples("ikepy pki print --in gw.crt", "ikepy pki print --type crl --in ca.crl")
)
@options.in_option("The certificate, CRL, request or key")
@click.option("-t", "--type", "kind", type=click.Choice(KINDS), default="x509", show_default=True)
@options.password_option
@options.guarded
def show(source: Path | None, kind: str, password_file: Path | None) -> None:
    """Print a certificate, CRL, request or key in a readable form; of a private key its public half."""
    match kind:
        case "x509":
            lines = showing.certificate(options.read_certificate(source))
        case "crl":
            lines = showing.crl(options.read_crl(source))
        case "pkcs10":
            lines = showing.request(certificates.load_request(files.read(source)))
        case _:
            lines = showing.public_key(options.read_public(source, kind, password_file))
    for line in lines:
        click.echo("".join(c if c.isprintable() else "?" for c in line))
