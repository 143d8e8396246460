"""What an initiator under test is to be configured for, case by case, and what it is asked to do.

The specification configures the node under test anew for nearly every case; most cases share one profile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Self

from ikepy.probe.target import ESP_SUITE, IKE_SUITE

Auth = Literal["psk", "pubkey"]


class Action(StrEnum):
    """What the initiator under test is asked for."""

    INITIATE = "initiate"  # set up an IKE_SA with its child; what it had is gone by then
    REKEY_CHILD = "rekey-child"
    REKEY_IKE = "rekey-ike"
    NEW_CHILD = "new-child"  # a second child, for the second network behind the tester
    STOP = "stop"  # forget all SAs, and begin nothing


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds: when a rekey begins, and when the SA ends if none succeeded."""

    rekey_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One configuration.

    `ike`, `esp`: proposals in swanctl's words, in the order in which they are to be offered; `takes`: the
    suites of IKE and ESP that we choose; `secret`: the shared key, the target's if None; `local_id`,
    `remote_id`: the initiator's identity and ours, those of the target if None; `auth`, `remote_auth`: how
    the initiator and we authenticate; `child`, `ike_sa`: lifetimes, as good as none if None; `endpoint`: the
    child is for our IKE address, not for a network behind us; `narrow`: the child is for one host behind us,
    and NEW_CHILD for another one; `needs_child`: an initiator that has trouble with children can't go without
    one (RFC 6023)."""

    name: str = "common"
    ike: tuple[str, ...] = (IKE_SUITE,)
    esp: tuple[str, ...] = (ESP_SUITE,)
    takes: tuple[str, str] = (IKE_SUITE, ESP_SUITE)
    secret: str | None = None
    local_id: str | None = None
    remote_id: str | None = None
    auth: Auth = "psk"
    remote_auth: Auth = "psk"
    child: Lifetimes | None = None
    ike_sa: Lifetimes | None = None
    endpoint: bool = False
    narrow: bool = False
    needs_child: bool = True

    def but(self, name: str, **changes: Any) -> Self:
        """The same under another name, with other fields."""
        return replace(self, name=name, **changes)

    def differs_from(self, other: Self) -> bool:
        """Whether an initiator needs another configuration for it."""
        return replace(self, name="", takes=other.takes, needs_child=True) != replace(
            other, name="", needs_child=True
        )

    def words(self) -> dict[str, str]:
        """What differs from the common configuration, for people and for environment variables."""
        found = {"profile": self.name, "ike": ",".join(self.ike), "esp": ",".join(self.esp)}
        for key in ("secret", "local_id", "remote_id"):
            if (value := getattr(self, key)) is not None:
                found[key] = value
        for key in ("auth", "remote_auth"):
            if getattr(self, key) != "psk":
                found[key] = getattr(self, key)
        for key, times in (("child", self.child), ("ike_sa", self.ike_sa)):
            if times is not None:
                found[f"{key}_rekey_time"], found[f"{key}_life_time"] = (
                    f"{times.rekey_s:g}",
                    f"{times.end_s:g}",
                )
        for key in ("endpoint", "narrow"):
            if getattr(self, key):
                found[key] = "yes"
        return found


COMMON = Profile()
