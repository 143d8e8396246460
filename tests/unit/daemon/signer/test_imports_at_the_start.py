"""Whatever the signer needs is loaded before it gives up the right to read its program."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
import ikepy.daemon.signer.signer_main
from ikepy.crypto.schemes import Scheme
from ikepy.daemon.signer.keys import Keys
from ikepy.daemon.signer.messages import LoadKey, Sign
keys, before = Keys(), None
for name, scheme in (("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha256"), ("rsa", "rsa/pss-sha256")):
    data = bytes.fromhex(sys.stdin.readline())
    before = set(sys.modules)
    loaded = keys.answer(LoadKey(1, "private", b"", data), None)
    print(type(keys.answer(Sign(2, loaded.key_id, scheme, b"octets"), None)).__name__)
    print(*sorted(set(sys.modules) - before))
"""


def test_signing_imports_nothing() -> None:
    from ikepy.pki import keys

    made = [keys.private_bytes(keys.generate(kind, size), "der").hex() for kind, size in KINDS]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], input="\n".join(made), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["Signed", ""] * 3


KINDS = (("ed25519", None), ("ecdsa", 256), ("rsa", 2048))
