"""`ikepy pki req`: a certificate request (PKCS#10)."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import certificates, options
from ikepy.pki.certificates import Contents

PROFILES = {
    "server": ("serverAuth",),
    "client": ("clientAuth",),
    "dual": ("serverAuth", "clientAuth"),
    "ocsp": ("ocspSigning",),
}


@click.command(
    epilog=examples('ikepy pki req --in gw.key --dn "O=example, CN=gw" --san gw.example.org --out gw.req')
)
@options.in_option("The private key")
@options.password_option
@options.name_options
@click.option("-P", "--profile", type=click.Choice(tuple(PROFILES)), help="What it is to be for.")
@options.signature
@options.output
@options.guarded
def req(
    source: Path | None,
    password_file: Path | None,
    dn: str | None,
    san: tuple[str, ...],
    profile: str | None,
    digest: str | None,
    rsa_padding: str | None,
    outform: str,
    out: Path | None,
    force: bool,
) -> None:
    """Make a certificate request, which a CA's `ikepy pki issue` takes."""
    if not dn:
        raise ValueError("give its subject: --dn")
    key = options.read_private(source, password_file)
    flags = () if profile is None else PROFILES[profile]
    contents = Contents(dn=dn, san=san, flags=flags, digest=digest, rsa_padding=rsa_padding)
    options.write(certificates.encode(certificates.request(key, contents), outform), out, force)
