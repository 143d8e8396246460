"""`ikepy pki pub`: a public key, from whatever has it."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import keys, options

KINDS = ("priv", "rsa", "ecdsa", "ed25519", "ed448", "pub", "pkcs10", "x509")
type_option = click.option(
    "-t", "--type", "kind", type=click.Choice(KINDS), default="priv", show_default=True, help="Of the input."
)


@click.command(
    epilog=examples("ikepy pki pub --in gw.key --out gw.pub", "ikepy pki pub --type x509 --in gw.crt")
)
@options.in_option("A private key, certificate or request")
@type_option
@options.output
@options.password_option
@options.guarded
def pub(
    source: Path | None, kind: str, outform: str, out: Path | None, force: bool, password_file: Path | None
) -> None:
    """Print a public key, of a private key, a certificate or a request."""
    key = options.read_public(source, kind, password_file)
    options.write(keys.public_bytes(key, outform), out, force)
