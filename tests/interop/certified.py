"""Both gateways of a bed with certificates and keys in files, as users of each have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ikepy.lab.strongswan import StrongSwan
from tests.interop.bed import OURS, THEIRS, Bed
from tests.pki import Entity

MOON, SUN = "moon.example.org", "sun.example.org"  # ikepy and strongSwan
DAEMON = 'log_level = "debug"\n'
PLUGINS = "pem pkcs1 pkcs8 x509 pubkey constraints revocation curve25519 sshkey"


@dataclass(frozen=True, slots=True)
class Files:
    """What a gateway has: its own certificate and key, and a CA. `raw`: of the peer, in place of the CA;
    our own public key is shown then."""

    own: Entity
    ca: bytes
    raw: bytes | None = None

    def write(self, directory: Path) -> None:
        """Into the directories that both programs know."""
        for name in ("x509", "x509ca", "private", "pubkey"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        files = {"x509ca/root.crt": self.ca, "private/own.key": self.own.pkcs8_pem}
        if self.raw is None:
            files["x509/own.crt"] = self.own.pem
            for number, one in enumerate(self.own.chain[1:]):
                files[f"x509ca/between{number}.crt"] = one
        else:
            files = {
                "private/own.key": self.own.pkcs8_pem,
                "pubkey/own.pub": self.own.spki,
                "pubkey/peer.pub": self.raw,
            }
        for name, data in files.items():
            path = directory / name
            path.touch(0o600)
            path.write_bytes(data)


def our_text(files: Files, local: str, remote: str, extra: str = "", more: str = "") -> str:
    """TOML; `local`, `remote`: words of auth; `extra`: of the connection; `more`: behind all of it."""
    connection = replace(OURS, local_id=MOON, remote_id=SUN, extra=extra, daemon=DAEMON)
    text = connection.text()
    head, _, rest = text.partition('auth = "psk"\n')
    middle, _, end = rest.partition('auth = "psk"\n')
    own = 'pubkeys = ["own.pub"]\n' if files.raw else 'certs = ["own.crt"]\n'
    theirs = 'pubkeys = ["peer.pub"]\n' if files.raw else 'cacerts = ["root.crt"]\n'
    ours = f"auth = {json.dumps(local)}\n" + (own if local != "psk" else "")
    peers = f"auth = {json.dumps(remote)}\n" + (theirs if remote != "psk" else "")
    return f'{head}{ours}{middle}{peers}{end}\n[secrets.private-own]\nfile = "own.key"\n{more}'


def their_text(files: Files, local: str, remote: str, options: Mapping[str, str], more: str = "") -> str:
    """swanctl.conf."""
    connection = replace(THEIRS, local_id=SUN, remote_id=MOON, options=dict(options))
    head, _, rest = connection.text().partition("auth = psk\n")
    middle, _, end = rest.partition("auth = psk\n")
    own = "pubkeys = own.pub\n" if files.raw else "certs = own.crt\n"
    theirs = "pubkeys = peer.pub\n" if files.raw else "cacerts = root.crt\n"
    ours = f"auth = {local}\n" + (own if local != "psk" else "")
    peers = f"auth = {remote}\n" + (theirs if remote != "psk" else "")
    return f"{head}{ours}{middle}{peers}{end}{more}"


def start(
    bed: Bed,
    ours: Files,
    theirs: Files,
    *,
    auth: tuple[str, str] = ("pubkey", "pubkey"),
    their_auth: tuple[str, str] = ("pubkey", "pubkey"),
    extra: str = "",
    their_options: Mapping[str, str] | None = None,
    charon: Mapping[str, str] | None = None,
    more: str = "",
    their_more: str = "",
    plugins: str = "",
) -> None:
    """Start both. `auth`: local and remote of ikepy; `charon`: keys of strongswan.conf."""
    ours.write(bed.ours.run_directory)
    theirs.write(bed.theirs.run_directory)
    bed.theirs = StrongSwan(
        bed.pair.right, bed.theirs.run_directory, plugins=f"{PLUGINS} {plugins}", options=charon
    )
    bed.theirs.start(their_text(theirs, *their_auth, their_options or {}, their_more))
    bed.ours.start(our_text(ours, *auth, extra, more))
