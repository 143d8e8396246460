"""The pre-shared keys in use, and for a while those that they replaced (RFC 7296 2.15 leaves rotation to us).

A secret that another one replaces in the configuration is the former one of that entry: a peer that has not
changed its own yet goes on with it until `daemon.old_secret_grace` is over. A secret that is removed is
refused at once, and none is accepted for other identities than those that it was for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ikepy.config.identity import Identity
from ikepy.config.model import Config, SecretEntry
from ikepy.crypto.secret import Secret
from ikepy.eap.passwords import Password

MOST_FORMER = 4  # of one entry: older ones are refused earlier

Pair = tuple[Identity, Identity]  # ours and the peer's


@dataclass(frozen=True, slots=True)
class Former:
    """A copy of a replaced secret. `until`: on the machine's clock; it is wiped then."""

    secret: Secret
    until: float


class SharedSecrets:
    """Finds secrets by identities; its copies of former ones are wiped when their time is over."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._former: dict[
            str, tuple[Former, ...]
        ] = {}  # by the entry that has the present one, newest first
        self._tries: dict[
            Pair, int
        ] = {}  # of ours, since the last that succeeded; while there are former ones

    def psk(self, local: Identity | None, remote: Identity | None) -> Secret | None:
        """The present secret of these two."""
        return self.config.psk(local, remote)

    def ppk(self, data: bytes) -> Secret | None:
        """The postquantum preshared key that has an identifier with these octets (RFC 8784)."""
        return self.config.ppk(data)

    def user(self, name: str) -> Password | None:
        """A user's password or its hash, by the EAP identity; a copy, as the entry may be replaced."""
        entry = self.config.user(name)
        return None if entry is None else Password(Secret(entry.secret.expose()), entry.kind == "ntlm")

    def former(self, psk: Secret) -> tuple[Secret, ...]:
        """Those that the present secret `psk` replaced, and that are still accepted; newest first."""
        return tuple(one.secret for one in self._former.get(self.name(psk), ()))

    def name(self, psk: Secret) -> str:
        """The entry of the configuration that holds a present secret; "?" if none does any more."""
        return self.config.name_of(psk) or "?"

    @property
    def most_former(self) -> int:
        """The largest number of former secrets that an entry has."""
        return max(map(len, self._former.values()), default=0)

    # -- as initiator ------------------------------------------------------------------------------

    def to_try(self, local: Identity, remote: Identity, psk: Secret) -> Secret:
        """What our next set-up proves itself with: the present secret, and if that comes to nothing, in turn
        with the former ones, as the peer may not have changed its own yet."""
        known = (psk, *self.former(psk))
        if len(known) == 1:
            return psk
        number = self._tries.get((local, remote), 0)
        self._tries[local, remote] = number + 1
        return known[number % len(known)]

    def same_again(self, local: Identity, remote: Identity) -> None:
        """The next `to_try` gives what the last one gave: a set-up proves itself twice (RFC 8784)."""
        if (local, remote) in self._tries:
            self._tries[local, remote] -= 1

    def succeeded(self, local: Identity, remote: Identity) -> None:
        """A set-up of ours came about."""
        self._tries.pop((local, remote), None)

    # -- time --------------------------------------------------------------------------------------

    def replace(self, config: Config, now: float) -> None:
        """Use `config` from now on."""
        old, self.config = self.config, config
        until = now + config.daemon.old_secret_grace
        if config.daemon.old_secret_grace < old.daemon.old_secret_grace:
            self._shorten(until)
        if _are_same(old.secrets, config.secrets):
            return
        predecessors = _by_ids(old.secrets)
        kept: dict[str, tuple[Former, ...]] = {}
        taken: set[str] = set()
        for name, entry in config.secrets.items():
            before = predecessors.get(_ids(entry), name)
            if before not in old.secrets or before in taken or not _akin(old.secrets[before], entry):
                continue
            taken.add(before)
            former = [one for one in self._former.get(before, ()) if one.secret != entry.secret]
            replaced = old.secrets[before].secret
            if replaced != entry.secret and until > now:
                former.insert(0, Former(Secret(replaced.expose()), until))
            if former:
                kept[name] = tuple(former[:MOST_FORMER])
        _wipe(self._former, kept)
        self._former = kept
        self._tries.clear()

    def _shorten(self, until: float) -> None:
        """Accept none for longer: who sets a shorter time, or none, wants the former ones refused."""
        self._former = {
            name: tuple(replace(one, until=min(one.until, until)) for one in each)
            for name, each in self._former.items()
        }

    @property
    def deadline(self) -> float | None:
        """When `expire` is due next."""
        return min((one.until for each in self._former.values() for one in each), default=None)

    def expire(self, now: float) -> list[str]:
        """Wipe the copies whose time is over. Returns the names of their entries."""
        deadline = self.deadline
        if deadline is None or deadline > now:
            return []
        over = [name for name, each in self._former.items() if any(one.until <= now for one in each)]
        kept = {name: tuple(one for one in each if one.until > now) for name, each in self._former.items()}
        kept = {name: each for name, each in kept.items() if each}
        _wipe(self._former, kept)
        self._former = kept
        self._tries.clear()
        return over


def _are_same(old: Mapping[str, SecretEntry], new: Mapping[str, SecretEntry]) -> bool:
    """Whether these are the very same objects: most changes by VICI are of a connection."""
    return len(old) == len(new) and all(new.get(name) is entry for name, entry in old.items())


def _ids(entry: SecretEntry) -> frozenset[Identity | None]:
    return frozenset(own and own.folded for own in entry.ids)


def _by_ids(secrets: Mapping[str, SecretEntry]) -> dict[frozenset[Identity | None], str]:
    """The entry for each set of identities: of several the first, as in `Keyring`."""
    found: dict[frozenset[Identity | None], str] = {}
    for name, entry in secrets.items():
        found.setdefault(_ids(entry), name)
    return found


def _akin(old: SecretEntry, new: SecretEntry) -> bool:
    """Whether the entry `new` is for no identity that `old` was not for; without `ids` one is for all."""
    return not _ids(old) or (bool(_ids(new)) and _ids(new) <= _ids(old))


def _wipe(former: Mapping[str, Iterable[Former]], kept: Mapping[str, Iterable[Former]]) -> None:
    left = {id(one) for each in kept.values() for one in each}
    for each in former.values():
        for one in each:
            if id(one) not in left:
                one.secret.wipe()
