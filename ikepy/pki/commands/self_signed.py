"""`ikepy pki self`: a certificate by its own key, as a root CA's is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ikepy.control.options import examples
from ikepy.pki import certificates, options


@click.command(
    "self",
    epilog=examples('ikepy pki self --ca --in ca.key --dn "C=CH, O=example, CN=root" --out ca.crt'),
)
@options.in_option("The private key")
@options.password_option
@options.contents_options
@options.output
@options.guarded
def self_signed(
    source: Path | None, password_file: Path | None, outform: str, out: Path | None, force: bool, **given: Any
) -> None:
    """Make a self-signed certificate."""
    if not given["dn"]:
        raise ValueError("give its subject: --dn")
    key = options.read_private(source, password_file)
    made = certificates.self_signed(key, options.contents(given))
    options.write(certificates.encode(made, outform), out, force)
