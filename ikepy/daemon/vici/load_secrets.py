"""VICI's commands that load shared secrets: load-shared, unload-shared, get-shared.

Pre-shared keys, users' passwords and NT hashes go into the layer above the file's (`ikepy.config.layers`).
Those of XAuth, which is IKEv1's, are kept, and nothing is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from pydantic import ValidationError

from ikepy.config import report
from ikepy.config.layers import Layers
from ikepy.config.model import SecretEntry, SecretKind
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS, outcome
from ikepy.daemon.vici.message import Decoded, Pairs, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure

USED: tuple[str, ...] = get_args(SecretKind)
KINDS = (*USED, "xauth")
MOST = 16384  # secrets that VICI has loaded
UNNAMED = "%unnamed-"  # how the names of secrets without an id begin


@dataclass(slots=True)
class LoadSecrets:
    """Executes them. A secret without an id is used, but not listed: only clear-creds takes it back."""

    desired: DesiredConfig
    _others: dict[str, SecretEntry] = field(default_factory=dict)  # of which nothing is made yet, by id

    async def load_shared(self, given: Decoded, _: Stream) -> Pairs:
        """Use a secret, in place of the one with the same id."""
        arguments.unknown(given, ("id", "type", "data", "owners"))
        kind, name = arguments.text(given, "type"), arguments.text(given, "id")
        if kind is None:
            return failure("shared key type missing")
        if kind.lower() not in KINDS:
            return failure(f"invalid shared key type: {kind[:40]!r}; allowed: {', '.join(KINDS).upper()}")
        if name is not None and (not name.isprintable() or not name or name.startswith(UNNAMED)):
            return failure(f"id must have printable characters, and not begin with {UNNAMED}")
        used = kind.lower() in USED
        entry = _entry(given, kind.lower() if used else USED[0])
        if used:
            return await self._use(name, entry)
        if name is not None:  # without an id, nothing could be told of it
            self._has_room(name, self.desired.layers)
            self._others[name] = entry
            await self._take_back(name)
        return SUCCESS

    async def unload_shared(self, given: Decoded, _: Stream) -> Pairs:
        """Take a secret back; one of its name in the file is in use again. No error if there is none, as in
        charon."""
        arguments.unknown(given, ("id",))
        name = arguments.text(given, "id")
        if name is None:
            return failure("unique identifier missing")
        self._others.pop(name, None)
        return await self._take_back(name)

    async def get_shared(self, given: Decoded, _: Stream) -> Pairs:
        """The ids of those that came by VICI."""
        arguments.unknown(given, ())
        names = (*self.desired.layers.secrets, *self._others)
        return [("keys", [name for name in names if not name.startswith(UNNAMED)])]

    async def clear(self) -> Pairs:
        """Take all of them back."""

        def edit(layers: Layers) -> Layers:
            for name in layers.secrets:
                layers = layers.without_secret(name)
            return layers

        self._others.clear()
        return await outcome(self.desired.change(edit)) if self.desired.layers.secrets else SUCCESS

    async def _use(self, name: str | None, entry: SecretEntry) -> Pairs:
        def edit(layers: Layers) -> Layers:
            key = _unnamed(layers, entry) if name is None else name
            self._has_room(key, layers)
            return layers.with_secret(key, entry)

        answer = await outcome(self.desired.change(edit))
        if answer == SUCCESS and name is not None:
            self._others.pop(name, None)
        return answer

    def _has_room(self, name: str, layers: Layers) -> None:
        known = name in layers.secrets or name in self._others
        if not known and len(layers.secrets) + len(self._others) >= MOST:
            raise ViciError(f"there are {MOST} secrets, as many as there may be: unload some")

    async def _take_back(self, name: str) -> Pairs:
        def edit(layers: Layers) -> Layers:
            return layers.without_secret(name) if name in layers.secrets else layers

        known = name in self.desired.layers.secrets
        return await outcome(self.desired.change(edit)) if known else SUCCESS


def _unnamed(layers: Layers, entry: SecretEntry) -> str:
    """A name for a secret without an id: that of the same secret, if it is there."""
    names = [name for name in layers.secrets if name.startswith(UNNAMED)]
    for name in names:
        if layers.secrets[name] == entry:
            return name
    return f"{UNNAMED}{1 + max((int(name.removeprefix(UNNAMED)) for name in names), default=0)}"


def _entry(given: Decoded, kind: str) -> SecretEntry:
    """The secret of a message and its owners, none of them: anybody. Raises ViciError without its bytes."""
    data, owners = given.get("data"), given.get("owners", [])
    if not isinstance(data, bytes) or not data:
        raise ViciError("shared key data missing")
    if not isinstance(owners, list):
        raise ViciError("parsing shared key owners failed: owners must be a list")
    try:
        ids = [one.decode() for one in owners]
        return SecretEntry.model_validate({"kind": kind, "ids": ids, "secret": f"0x{data.hex()}"})
    except UnicodeDecodeError:
        raise ViciError("parsing shared key owners failed: an owner is no UTF-8 text") from None
    except ValidationError as error:
        found = report.problems_of(error, ())
        told = "; ".join(f"{key.replace('ids', 'owners', 1)}: {text}" for key, text in found)
        raise ViciError(f"parsing shared key owners failed: {told}") from None
