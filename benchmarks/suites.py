"""One TCP flow under each ESP suite, and without UDP around it (ours alone: strongSwan's knows only that)."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import bed
from benchmarks.bed import BOTH, OURS, SUITE, THEIRS
from benchmarks.report import Row, Target
from benchmarks.setting import Setting
from ikepy.lab import pair


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to protect the flow. `least`: the share of AES-128-GCM's rate that it should reach."""

    what: str
    suite: str
    least: float | None = None
    encap: bool = True
    kinds: tuple[str, ...] = BOTH


FIRST = Variant("AES-128-GCM", SUITE)
VARIANTS = (
    FIRST,
    Variant("AES-256-GCM", "aes256gcm16", 0.6),
    Variant("ChaCha20-Poly1305", "chacha20poly1305", 0.6),
    Variant("AES-128-CBC and HMAC-SHA256", "aes128-sha256"),
    Variant("AES-128-GCM, native ESP", SUITE, 0.5, encap=False, kinds=(OURS,)),
)


def rows(setting: Setting) -> list[Row]:
    """One a variant. Raises LabError."""
    found: dict[tuple[Variant, str], list[float]] = {
        (variant, kind): [] for variant in VARIANTS for kind in variant.kinds
    }
    with bed.hosts(setting) as (hosts, directory):
        for count in range(1, setting.rounds + 1):
            for (variant, kind), rates in found.items():
                setting.say(f"  round {count} of {setting.rounds}: {variant.what}, {kind}")
                with (
                    bed.tunnel(kind, hosts, directory, suite=variant.suite, encap=variant.encap),
                    bed.iperf(hosts.right_host) as server,
                ):
                    rates.append(server.tcp(hosts.left_host, pair.RIGHT_HOST, setting.seconds))
    return [
        Row(
            f"TCP, one flow, {variant.what}",
            "Mbit/s",
            found[variant, OURS],
            found.get((variant, THEIRS), []),
            None if variant.least is None else Target(variant.least),
            () if variant is FIRST else found[FIRST, OURS],
            f"own {FIRST.what}",
        )
        for variant in VARIANTS
    ]
