"""Impairments of ESP: what the data plane is told of an SA is wrong (RFC 4303, RFC 4301 5.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from esp.packet.selectors import Selector
from ikepy.impair.impairment import Impairment, Stages
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Effect,
    InstallInbound,
    InstallOutbound,
    RemoveChild,
    RemoveOutbound,
)

EVERYTHING = (Selector(4, 0, 2**32 - 1), Selector(6, 0, 2**128 - 1))

Effects = Sequence[Effect]


def outbound(change: Callable[[InstallOutbound], Effects]) -> Stages:
    return Stages(effect=lambda effect: change(effect) if isinstance(effect, InstallOutbound) else [effect])


def inbound(change: Callable[[InstallInbound], Effects]) -> Stages:
    return Stages(effect=lambda effect: change(effect) if isinstance(effect, InstallInbound) else [effect])


def old_sa() -> Stages:
    """A new SA beside one of the same child stands by, and is not activated as long as that one is there."""
    sending: dict[int, tuple[str, str]] = {}  # (connection, child), by child_id
    waiting: set[int] = set()

    def effect(one: Effect) -> Effects:
        match one:
            case InstallOutbound():
                name = one.connection, one.child
                if name in sending.values():
                    waiting.add(one.child_id)
                    one = replace(one, standby=True)
                sending[one.child_id] = name
            case ActivateOutbound() if one.child_id in waiting:
                return []
            case RemoveOutbound() | RemoveChild():
                sending.pop(one.child_id, None)
                waiting.discard(one.child_id)
        return [one]

    return Stages(effect=effect)


IMPAIRMENTS = (
    Impairment(
        "esp-wrong-spi",
        "sends ESP under another SPI than the peer chose",
        "RFC 4303 2.1",
        lambda _: outbound(lambda effect: [replace(effect, spi=effect.spi ^ 0x5A5A5A5A or 1)]),
    ),
    Impairment(
        "esp-accept-replays",
        "takes ESP packets again that were replayed",
        "RFC 4303 3.4.3",
        lambda _: inbound(lambda effect: [replace(effect, replay_window=0)]),
    ),
    Impairment(
        "esp-accept-any-selectors",
        "takes packets from a tunnel that its selectors do not permit",
        "RFC 4301 5.2",
        lambda _: inbound(lambda effect: [replace(effect, ts_local=EVERYTHING, ts_remote=EVERYTHING)]),
    ),
    Impairment(
        "esp-no-inbound",
        "takes no ESP",
        "RFC 4303 3.4",
        lambda _: inbound(lambda effect: []),
    ),
    Impairment(
        "esp-no-outbound",
        "sends no ESP",
        "RFC 4303 3.3",
        lambda _: outbound(lambda effect: []),
    ),
    Impairment(
        "esp-stay-on-old-sa",
        "goes on sending under the old SA after a rekey",
        "2.8",
        lambda _: old_sa(),
    ),
)
