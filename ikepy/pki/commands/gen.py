"""`ikepy pki gen`: a new private key."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.crypto import signatures
from ikepy.pki import keys, options


@click.command(
    epilog=examples(
        "ikepy pki gen --type rsa --size 3072 --out ca.key",
        "ikepy pki gen --type ecdsa --size 256 --out gw.key",
        "ikepy pki gen --type ed25519 | ikepy pki pub",
    )
)
@click.option(
    "-t", "--type", "kind", type=click.Choice(keys.TYPES), default="rsa", show_default=True,
    help="Of the key. mldsa44, 65 and 87 are experimental.",
)  # fmt: skip
@click.option(
    "-s", "--size", type=int, metavar="BITS",
    help="RSA: 2048 to 8192, CAs 16384; ECDSA: 256, 384, 521; "
    "brainpool: 256, 384, 512.  [default: 3072; 384]",
)  # fmt: skip
@options.output
@click.option("--password-file", type=options.FILE, metavar="FILE", help="Encrypt it with the first line.")
@options.guarded
def gen(
    kind: str, size: int | None, outform: str, out: Path | None, force: bool, password_file: Path | None
) -> None:
    """Make a private key.

    A file of --out is for its owner alone (mode 0600).
    """
    if kind == "rsa" and size is not None and size > signatures.MOST_RSA:
        most = signatures.MOST_RSA
        click.echo(f"ikepy pki gen: a key for CAs alone: a gateway signs with at most {most} bits", err=True)
    password = None if password_file is None else options.read_password(password_file)
    made = keys.private_bytes(keys.generate(kind, size), outform, password)
    options.write(made, out, force, private=True)
