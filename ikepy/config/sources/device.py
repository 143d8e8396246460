"""Chooses the device of a connection whose source has no section for it: the name is the kernel's VTI's.

strongSwan ties a tunnel to a device by a netfilter mark (ip_vti: the key) or an XFRM interface's ID. Such a
device is called vti and that number here; without one, the model's default names it after the connection.
"""

from __future__ import annotations

from esp.packet.selectors import Selector
from ikepy.config import values
from ikepy.config.sources.draft import Draft, Lost, Origin
from ikepy.config.toml_source import Table

MAX_NUMBER = 2**32 - 1
UNIQUE = frozenset({"%unique", "%unique-dir"})
NO_NUMBER = (
    "no mark or interface ID is chosen or set: ikepy's device of this connection takes its packets; match "
    "that device instead, and remove it"
)


def number(word: str) -> int | None:
    """The number of a mark or interface ID, "42", "0x2a", "42/0xffffffff"; 0: none. None if it is no number.

    Those of `UNIQUE` are 0: the number is chosen when the tunnel is up, and nobody can configure it.
    """
    if word.lower() in UNIQUE:
        return 0
    try:
        found = int(word.partition("/")[0].strip(), 0)
    except ValueError:
        return None
    return found if 0 <= found <= MAX_NUMBER else None


def choose(
    draft: Draft, connection: str, vti: Table, numbers: dict[str, tuple[int, ...]], origin: Origin
) -> None:
    """Name the device in `vti` after the children's marks: child -> its numbers, as `number` has them.

    `origin`: of the connection.
    """
    several = {tuple(one) for one in numbers.values()}
    if len(several) > 1:
        text = (
            "its children have different marks or interface IDs, and here a connection has one device: "
            "make a connection of each child"
        )
        draft.refused.append(Lost(origin.key, origin.place, text))
        return
    found = next((one for each in several for one in each if one), 0)
    if not found:
        return
    vti.setdefault("name", f"vti{found}")
    draft.origins[f"connections.{connection}.vti"] = origin
    if vti["name"] == f"vti{found}" and not vti.get("addresses"):
        text = (
            f"ikepy makes the device vti{found} for the mark or interface ID {found}, in place of the "
            "kernel's: remove that one, and give this one its addresses and routes (or TOML, in vti)"
        )
        draft.remarks.append(Lost(origin.key, origin.place, text))


def refuse_all_traffic(draft: Draft, vti: Table, remote_ts: list[object], origin: Origin) -> None:
    """Refuse a policy-based tunnel for everything: strongSwan catches all packets, a device what is routed.

    `origin`: of the child.
    """
    if vti.get("name") or "routes" in vti or not any(_everything(one) for one in remote_ts):
        return
    text = (
        "all addresses at the peer, without a mark or interface ID: strongSwan sends every packet into the "
        "tunnel, ikepy those that routes lead into its device, and others would leave unprotected; give a "
        "mark, as 42, so that routes decide there too, or narrower selectors"
    )
    draft.refused.append(Lost(origin.key, origin.place, text))


def _everything(word: object) -> bool:
    try:
        found = values.selector(word)
    except ValueError:
        return False
    return isinstance(found, Selector) and found.all_addresses
