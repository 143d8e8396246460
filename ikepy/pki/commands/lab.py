"""`ikepy pki lab`: all keys and certificates of a lab at once."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy import option_types
from ikepy.control.options import examples
from ikepy.pki import keys, lab_set, options


@click.command(
    epilog=examples(
        "ikepy pki lab --out pki --gateway moon.example.org,192.0.2.1 --gateway sun.example.org,192.0.2.2",
        "ikepy pki lab --out pki --gateway gw.example.org --user carol@example.org --type rsa --size 3072",
    )
)
@click.option("--out", type=option_types.DIRECTORY, required=True, metavar="DIRECTORY")
@click.option(
    "--gateway", "gateways", multiple=True, required=True, metavar="NAME[,NAME...]",
    help="A gateway's DNS name, and its other names or addresses.",
)  # fmt: skip
@click.option("--user", "users", multiple=True, metavar="USER@NAME", help="A user.")
@click.option(
    "-t",
    "--type",
    "kind",
    type=click.Choice(keys.TYPES),
    default="ecdsa",
    show_default=True,
    help="Of all keys.",
)
@click.option("-s", "--size", type=int, metavar="BITS", help="Of the keys.  [default: 256, or as in gen]")
@click.option("-u", "--crl", "crl_uri", metavar="URI", help="Where the CRL will be.")
@click.option("-o", "--ocsp", "ocsp_uri", metavar="URI", help="Where the OCSP responder will be.")
@click.option("--force", is_flag=True, help="Put the files in place of those that are there.")
@options.guarded
def lab(
    out: Path,
    gateways: tuple[str, ...],
    users: tuple[str, ...],
    kind: str,
    size: int | None,
    crl_uri: str | None,
    ocsp_uri: str | None,
    force: bool,
) -> None:
    """Make the keys and certificates of a whole lab.

    A root CA (root), an intermediate CA (ca), gateways and users that it certifies, and CRLs of both.
    Private keys are without a password, mode 0600.
    """
    size = 256 if size is None and kind == "ecdsa" else size
    made = lab_set.make(gateways, users, kind=kind, size=size, crl_uri=crl_uri, ocsp_uri=ocsp_uri)
    for path in made.write(out, overwrite=force):
        click.echo(path)
