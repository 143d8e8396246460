"""`ikepy pki`: the group of its commands."""

from __future__ import annotations

import click

from ikepy.control.options import examples
from ikepy.pki.commands.dn import dn
from ikepy.pki.commands.gen import gen
from ikepy.pki.commands.issue import issue
from ikepy.pki.commands.keyid import keyid
from ikepy.pki.commands.lab import lab
from ikepy.pki.commands.ocsp import ocsp
from ikepy.pki.commands.pkcs12 import pkcs12
from ikepy.pki.commands.pub import pub
from ikepy.pki.commands.req import req
from ikepy.pki.commands.self_signed import self_signed
from ikepy.pki.commands.show import show
from ikepy.pki.commands.signcrl import signcrl
from ikepy.pki.commands.verify import verify


@click.group(
    epilog=examples(
        "ikepy pki lab --out pki --gateway moon.example.org --user carol@example.org    all at once",
        "ikepy pki gen --out ca.key                                                     or step by step",
        'ikepy pki self --ca --in ca.key --dn "O=example, CN=CA" --out ca.crt',
        "ikepy pki gen --type ecdsa --out gw.key",
        'ikepy pki issue --in gw.key --type priv --cacert ca.crt --cakey ca.key --dn "O=example, CN=gw" \\',
        "    --san gw.example.org --flag serverAuth --out gw.crt",
    )
)
def pki() -> None:
    """Make and look at keys, certificates and CRLs, in the words of strongSwan's pki.

    What pki calls --issue is a command here, issue; its options are the same. Output is PEM unless --outform
    says otherwise.
    """


for command in (
    *(gen, pub, self_signed, issue, req, signcrl, show, verify, keyid, dn, pkcs12),
    *(lab, ocsp),
):
    pki.add_command(command)
