"""`ikepy pki dn`: the subject of a certificate."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import certificates, options

FORMS = ("config", "hex", "base64", "bin")


@click.command(epilog=examples("ikepy pki dn --in gw.crt"))
@options.in_option("The certificate")
@click.option("-f", "--format", "form", type=click.Choice(FORMS), default="config", show_default=True)
@options.guarded
def dn(source: Path | None, form: str) -> None:
    """Print the subject of a certificate, as `id` takes it in a configuration; or its DER encoding."""
    certificate = options.read_certificate(source)
    der = certificate.subject.public_bytes()
    match form:
        case "config":
            click.echo(certificates.subject_text(certificate))
        case "hex":
            click.echo(der.hex())
        case "base64":
            click.echo(b64encode(der).decode())
        case "bin":
            click.echo(der, nl=False)
