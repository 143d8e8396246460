"""VICI's commands for private keys: load-key, load-token, what lists and unloads them.

The signer reads and keeps them; they leave it by no command.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ikepy.crypto.secret import Secret
from ikepy.daemon.signer.signer import Key, Signer, TokenKey
from ikepy.daemon.signer.signer_process import SignerError
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs
from ikepy.daemon.vici.vici_client import Stream, failure

KINDS = ("any", "rsa", "ecdsa")
MOST_OF_KEY = 8192  # octets: an RSA key of 8192 bits in PEM
LONGEST_HANDLE = 512  # hex digits


@dataclass(slots=True)
class LoadKeys:
    """Executes them."""

    signer: Signer

    async def load_key(self, given: Decoded, _: Stream) -> Pairs:
        """Keep a private key. The answer has its `id`: the SHA-1 of the public key's bits, in hex digits."""
        arguments.unknown(given, ("type", "data"))
        kind, data = arguments.text(given, "type"), given.get("data")
        if kind is None:
            return failure("key type missing")
        if kind.lower() not in KINDS:
            return failure(f"invalid key type: {kind[:40]!r}; allowed: {', '.join(KINDS)}")
        if not isinstance(data, bytes) or not data:
            return failure("key data missing")
        if len(data) > MOST_OF_KEY:
            return failure(f"key data too long; allowed: at most {MOST_OF_KEY} octets")
        try:
            key = await asyncio.to_thread(self.signer.load, kind.lower(), data)
        except SignerError as error:
            return failure(f"parsing {kind.upper()} private key failed: {error}")
        return _loaded(key)

    async def load_token(self, given: Decoded, _: Stream) -> Pairs:
        """Use a private key in a PKCS#11 token. `module`: its library's path, as strongSwan's configuration
        has it for a module's name."""
        arguments.unknown(given, ("handle", "slot", "module", "pin"))
        handle, module = arguments.text(given, "handle"), arguments.text(given, "module")
        slot, pin = arguments.number(given, "slot"), given.get("pin")
        if not handle:
            return failure("keyid missing")
        handle = handle.lower().removeprefix("0x").replace(":", "")
        if len(handle) > LONGEST_HANDLE or len(handle) % 2 or set(handle) - set("0123456789abcdef"):
            return failure("keyid invalid; allowed: pairs of hex digits (CKA_ID)")
        if module is None or not module.startswith("/") or not module.isprintable():
            return failure("module missing; allowed: the absolute path of the token's PKCS#11 library")
        if slot is not None and slot < 0:
            return failure("slot invalid; allowed: a number from 0 on")
        secret = Secret(pin) if isinstance(pin, bytes) and pin else None
        source = TokenKey(f"load-token {handle[:80]}", module, slot, handle, secret)
        try:
            key = await asyncio.to_thread(self.signer.load_token, source)
        except SignerError as error:
            return failure(f"loading the private key from the token failed: {error}")
        return _loaded(key)

    async def unload_key(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("id",))
        name = arguments.text(given, "id")
        if name is None:
            return failure("key id missing")
        if not await asyncio.to_thread(self.signer.unload, name.lower()):
            return failure(f"private key with id '{name[:80]}' not found")
        return SUCCESS

    async def get_keys(self, given: Decoded, _: Stream) -> Pairs:
        """Those that came by VICI, as in charon: swanctl unloads what its files do not have any more."""
        arguments.unknown(given, ())
        return [("keys", self.signer.of_vici())]

    async def clear(self) -> None:
        """Forget all that came by VICI."""
        await asyncio.to_thread(self.signer.clear)


def _loaded(key: Key) -> Pairs:
    return [*SUCCESS, ("id", key.key_id)]
