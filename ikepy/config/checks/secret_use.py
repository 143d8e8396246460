"""Finds secrets that no connection uses and identities in them that no connection has: mostly typos.

An identity is not reported if some connection accepts any peer, or a wildcard that matches it.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address

from ikepy.config.identity import Identity
from ikepy.config.model import Config, Connection

Notes = Iterator[tuple[str, str]]
MOST_GUESSED = 20  # identities for which a similar one is suggested: the search over all is slow


def notes(config: Config) -> list[tuple[str, str]]:
    """All of them, as (key path, text)."""
    return [*strangers(config), *_unused(config)] if config.connections else []


def strangers(config: Config) -> Notes:
    """Identities in `ids` that no connection has, on either side."""
    pairs = [_sides(one) for one in config.connections.values()]
    if any(ours is None or theirs is None for ours, theirs in pairs):
        return
    known = {each.folded: each for ours, theirs in pairs for each in (*(ours or ()), *(theirs or ()))}
    patterns = [one for one in known.values() if one.is_pattern]
    names = [str(one) for one in known.values()]
    guessed = 0
    for name, entry in config.of_kind("ike").items():
        for index, own in enumerate(entry.ids):
            if own is None or own.folded in known or _fits_any(own, known, patterns):
                continue
            close = get_close_matches(str(own), names, 1) if guessed < MOST_GUESSED else []
            guessed += 1
            hint = f'did you mean "{close[0]}"?' if close else _listed(names)
            yield (
                f"secrets.{name}.ids[{index}]",
                f'no connection has the identity "{own}" ({own.type_name}); {hint}',
            )


def _fits_any(own: Identity, known: dict[Identity, Identity], patterns: list[Identity]) -> bool:
    if own.is_pattern:
        return any(one.matches(own) for one in known.values())
    return any(own.matches(pattern) for pattern in patterns)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{one}"' for one in names[:4])
    return (
        f"allowed: what stands as id in local or remote of a connection ({shown}{', …' if names[4:] else ''})"
    )


def _unused(config: Config) -> Notes:
    """Secrets that are the best match for no pair of identities."""
    used: set[int] = set()
    for connection in config.connections.values():
        ours, theirs = _sides(connection)
        if ours is None or theirs is None or any(one.is_pattern for one in theirs):
            return
        for own in ours:
            for other in theirs:
                used.add(id(config.psk(own, other)))
    for name, entry in config.of_kind("ike").items():
        if id(entry.secret) not in used:
            yield (
                f"secrets.{name}",
                "is used by no connection: for each of them another secret fits its two identities better; "
                "correct its ids, or remove it",
            )


def _sides(connection: Connection) -> tuple[list[Identity] | None, list[Identity] | None]:
    """The identities that we and the peer can have; None: any."""
    local, remote = connection.local.id, connection.remote.id
    ours: list[Identity] | None = [local] if local is not None else []
    if local is None:
        fixed = [one for one in connection.local_addrs if isinstance(one, IPv4Address | IPv6Address)]
        all_fixed = len(fixed) == len(connection.local_addrs)
        ours = [Identity.of_address(one) for one in fixed] if all_fixed else None
    return ours, None if remote is None else [remote]
