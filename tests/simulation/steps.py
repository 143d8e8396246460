"""A run as values for JSON, step by step: what happened, and what each site had afterwards."""

from __future__ import annotations

from collections.abc import Callable

from ikepy.wire.constants import ExchangeType, HeaderFlag, PayloadType

from .scenario import Result, run
from .sites import Site
from .world import World

MOST = 4000  # steps that are told
Entry = tuple[float, str, bytes, str]


class _Ladder(list[Entry]):
    """The ladder of a world that takes down, with each entry, what the sites have."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.states: list[dict[str, list[str]]] = []

    def append(self, entry: Entry) -> None:
        super().append(entry)
        if len(self.states) < MOST:
            self.states.append({name: _sas(site) for name, site in self._world.sites.items()})


def steps(seed: int) -> dict[str, object]:
    """The run of this seed. Times are seconds since its beginning; messages are hexadecimal."""
    ladders: list[_Ladder] = []

    def watch(world: World) -> None:
        world.ladder = _Ladder(world)
        ladders.append(world.ladder)

    result = run(seed, watch=watch)
    return describe(result, ladders[0])


def describe(result: Result, ladder: _Ladder) -> dict[str, object]:
    """What came of it, and the steps."""
    return {
        "seed": result.seed,
        "error": result.error,
        "messages": result.messages,
        "packets": result.packets,
        "lost": result.lost,
        "left_out": max(len(ladder) - MOST, 0),
        "steps": [
            {"time": round(at - 1000, 4), "site": site, "sas": state, **_entry(data, text)}
            for (at, site, data, text), state in zip(ladder, ladder.states, strict=False)
        ],
    }


def _entry(data: bytes, text: str) -> dict[str, object]:
    if not data:
        return {"text": text}
    receiver, fate = text.split()
    names: Callable[[int], str] = lambda number: (  # noqa: E731  a table with an answer for every number
        ExchangeType(number).name if number in set(ExchangeType) else f"exchange {number}"
    )
    return {
        "to": receiver,
        "lost": fate == "lost",
        "delays": [] if fate == "lost" else [float(one) for one in fate.split("+")],
        "exchange": names(data[18]),
        "is_response": bool(data[19] & HeaderFlag.RESPONSE),
        "message_id": int.from_bytes(data[20:24], "big"),
        "spis": f"{data[:4].hex()} {data[8:12].hex()}",
        "sealed": data[16] in (PayloadType.SK, PayloadType.SKF),
        "octets": data.hex(),
    }


def _sas(site: Site) -> list[str]:
    """One line an IKE_SA."""
    return [
        f"{sa.connection.name} {sa.spi_i[:3].hex()} {sa.phase.name}"
        + "".join(
            f" · {child.config.name} {child.spi_in:08x} {child.state.name}" for child in sa.children.values()
        )
        for sa in site.sas()
    ]
