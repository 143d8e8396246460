"""How the lab's concentrators authenticate: by a pre-shared key, by certificates, or one as a user (EAP).

Certificates and keys are made for one lab, and lie in the directories that ikepy and swanctl both know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ikepy.lab.netns import LabError
from ikepy.pki import certificates, files, keys, lab_set
from ikepy.pki.lab_set import LabSet

PSK, PUBKEY, EAP = METHODS = ("psk", "pubkey", "eap")
CERTIFICATE, ROOT = "own.crt", "root.crt"


@dataclass(slots=True)
class Authentication:
    """Of one lab. `method`: of METHODS; `user`, `server`: the identities of the CGW and of the other end."""

    method: str
    user: str
    server: str
    _made: LabSet | None = field(default=None, repr=False)

    def write(self, identity: str, directory: Path) -> None:
        """What an end needs, into its directory. LabError."""
        if self.method == PSK:
            return
        made = self._made = self._made or lab_set.make([self.user, self.server])
        own = next(one for one in made.gateways if one.name == identity)
        public = {f"x509ca/{ROOT}": made.root.certificate}
        private = {}
        if self.method == PUBKEY or identity == self.server:
            public |= {f"x509/{CERTIFICATE}": own.certificate, "x509ca/between.crt": made.ca.certificate}
            private["private/own.key"] = keys.private_bytes(own.key)
        try:
            for name, certificate in public.items():
                _write(directory / name, certificates.encode(certificate, "pem"), private=False)
            for name, data in private.items():
                _write(directory / name, data, private=True)
        except (OSError, ValueError) as error:
            raise LabError(f"the lab's certificates can't be written: {error}") from None

    def ours(self, identity: str, secret: str) -> tuple[str, str, str]:
        """TOML for ikepy as this end: lines of `local`, of `remote`, and further sections."""
        local, remote = self._sides(identity)
        words = {
            PSK: ('auth = "psk"', 'auth = "psk"'),
            PUBKEY: (f'auth = "pubkey"\ncerts = ["{CERTIFICATE}"]', f'auth = "pubkey"\ncacerts = ["{ROOT}"]'),
            EAP: ('auth = "eap-mschapv2"', 'auth = "eap-mschapv2"\neap_id = "%any"'),
        }
        more = ""
        if self.method == EAP:
            more = f"[secrets.eap-lab]\nids = {json.dumps([self.user])}\nsecret = {json.dumps(secret)}\n"
        return words[local][0], words[remote][1], more

    def theirs(self, identity: str, secret: str) -> tuple[str, str, str]:
        """swanctl.conf for strongSwan as this end: lines of `local`, of `remote`, and further secrets."""
        local, remote = self._sides(identity)
        words = {
            PSK: ("auth = psk", "auth = psk"),
            PUBKEY: (f"auth = pubkey\ncerts = {CERTIFICATE}", f"auth = pubkey\ncacerts = {ROOT}"),
            EAP: ("auth = eap-mschapv2", "auth = eap-mschapv2\neap_id = %any"),
        }
        more = ""
        if self.method == EAP:
            more = f'eap-lab {{\nid = {self.user}\nsecret = "{secret}"\n}}'
        return words[local][0], words[remote][1], more

    def _sides(self, identity: str) -> tuple[str, str]:
        if self.method != EAP:
            return self.method, self.method
        return (EAP, PUBKEY) if identity == self.user else (PUBKEY, EAP)


def _write(path: Path, data: bytes, *, private: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write(path, data, private=private, overwrite=True)
