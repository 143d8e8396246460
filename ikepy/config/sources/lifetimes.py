"""Fills in lifetimes as strongSwan derives those that are not given, where our model derives others."""

from __future__ import annotations

from ikepy.config import values
from ikepy.config.toml_source import Table


def of_ike_sa(table: Table) -> None:
    """`rekey_time` and `rand_time` of a connection: no rekeying where only a reauthentication is given."""
    if "reauth_time" in table and "rekey_time" not in table:
        table["rekey_time"] = 0
    if "rand_time" in table:
        return
    rekey, reauth = _seconds(table, "rekey_time", 14400.0), _seconds(table, "reauth_time", 0.0)
    over = _seconds(table, "over_time", max(rekey, reauth) / 10)
    half = (min(rekey, reauth) if rekey and reauth else max(rekey, reauth)) / 2
    if over > half:
        table["rand_time"] = half


def of_child(table: Table) -> None:
    """Soft limits of a child where only the hard one is given."""
    if "life_time" in table and "rekey_time" not in table:
        table["rekey_time"] = _soft(int(_seconds(table, "life_time", 0.0)))
    for what in ("bytes", "packets"):
        life = table.get(f"life_{what}")
        if isinstance(life, int) and f"rekey_{what}" not in table:
            table[f"rekey_{what}"] = _soft(life)


def _soft(hard: int) -> int:
    """The soft limit below a hard one, which is by default the soft one and a tenth."""
    return hard * 10 // 11


def _seconds(table: Table, key: str, default: float) -> float:
    """The time in seconds; the default too for what is no time, which the model refuses."""
    try:
        return values.seconds(table[key]) if key in table else default
    except ValueError:
        return default
