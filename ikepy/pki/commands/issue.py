"""`ikepy pki issue`: a certificate by a CA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ikepy.control.options import examples
from ikepy.pki import certificates, options
from ikepy.pki.commands.pub import KINDS
from ikepy.pki.files import read


@click.command(
    epilog=examples(
        'ikepy pki issue --in gw.key --type priv --cacert ca.crt --cakey ca.key --dn "O=example, CN=gw" \\',
        "    --san gw.example.org --flag serverAuth --flag clientAuth --out gw.crt",
        'ikepy pki issue --ca --pathlen 0 --in sub.key --type priv --dn "CN=sub" --cacert ca.crt \\',
        "    --cakey ca.key --out sub.crt",
        "ikepy pki issue --in user.req --type pkcs10 --cacert ca.crt --cakey ca.key --out user.crt",
    )
)
@options.in_option("The public key, private key or request")
@click.option(
    "-t", "--type", "kind", type=click.Choice([one for one in KINDS if one != "x509"]), default="pub",
    show_default=True, help="Of the input.",
)  # fmt: skip
@options.ca_options
@options.contents_options
@options.output
@options.guarded
def issue(
    source: Path | None,
    kind: str,
    cacert: Path,
    cakey: Path,
    password_file: Path | None,
    outform: str,
    out: Path | None,
    force: bool,
    **given: Any,
) -> None:
    """Issue a certificate, by a CA's certificate and private key.

    Subject and alternative names are those of a request (--type pkcs10) where they are not given.
    """
    contents = options.contents(given)
    if kind == "pkcs10":
        request = certificates.load_request(read(source))
        public = certificates.public_key(request)
        asked = certificates.names_of(request)
        contents = replace(contents, subject=request.subject, alternative=asked)
    else:
        public = options.read_public(source, kind, password_file)
    if not (contents.dn or contents.subject or contents.san or contents.alternative):
        raise ValueError("give its subject or an alternative name: --dn, --san")
    ca = options.read_certificate(cacert)
    made = certificates.issue(public, options.read_private(cakey, password_file), ca, contents)
    options.write(certificates.encode(made, outform), out, force)
