"""`ikepy pki keyid`: the identifiers of a key."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import keys, options
from ikepy.pki.commands.pub import type_option


@click.command(
    epilog=examples("ikepy pki keyid --in gw.key", "ikepy pki keyid --type x509 --id spki --in ca.crt")
)
@options.in_option("A private or public key, certificate or request")
@type_option
@click.option(
    "-I", "--id", "which", type=click.Choice(("all", "spk", "spki")), default="all", show_default=True
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(("pretty", "hex", "base64")),
    default="pretty",
    show_default=True,
)
@options.password_option
@options.guarded
def keyid(source: Path | None, kind: str, which: str, form: str, password_file: Path | None) -> None:
    """Print the identifiers of a key.

    They are SHA-1 of its bits, by which ikepy and strongSwan call a private key, and of its
    SubjectPublicKeyInfo, which CERTREQ payloads have.
    """
    spk, spki = keys.key_ids(options.read_public(source, kind, password_file))
    for name, label, digest in (("spki", "subjkeyinfo", spki), ("spk", "subjkey", spk)):
        if which not in ("all", name):
            continue
        octets = bytes.fromhex(digest)
        match form:
            case "pretty":
                click.echo(f"{label + ' identifier:':<24} {octets.hex(':')}")
            case "hex":
                click.echo(digest)
            case "base64":
                click.echo(b64encode(octets).decode())
