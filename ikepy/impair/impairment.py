"""What an impairment is: a name, what the daemon then does, the values it takes, and where it takes hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from esp.sa.outbound import OutboundSa
from ikepy.config.model import Connection, Daemon
from ikepy.impair.draft import Draft
from ikepy.sa.api.effects import Effect
from ikepy.sa.auth.authenticator import Authenticator

Deliveries = Sequence[tuple[float, bytes]]  # (delay in seconds, datagram): each that leaves or is taken
Deliver = Callable[[bytes], Deliveries]


@dataclass(frozen=True, slots=True)
class Stages:
    """Where one impairment takes hold; None: nowhere.

    `message`: a message of ours before it is sealed; retransmissions repeat what it made of it.
    `sealed`: a datagram of ours as it was sealed, likewise.
    `sending`: a datagram of ours as it leaves, each time. `receiving`: one of the peer's as it comes.
    `heard`: a message of the peer's, decrypted if it was protected, before the machine has it.
    `effect`: any other effect of the machine's, with what is to be done in its place.
    `packets`: an outbound ESP SA, when it is made, of whatever connection.
    `authenticator`, `connection`, `daemon`: what the machine uses in the place of the configured ones.
    """

    message: Callable[[Draft], None] | None = None
    sealed: Callable[[bytes], bytes] | None = None
    sending: Deliver | None = None
    receiving: Deliver | None = None
    heard: Callable[[Draft], None] | None = None
    effect: Callable[[Effect], Sequence[Effect]] | None = None
    packets: Callable[[OutboundSa], None] | None = None
    authenticator: Callable[[Authenticator], Authenticator] | None = None
    connection: Callable[[Connection], Connection] | None = None
    daemon: Callable[[Daemon], Daemon] | None = None

    def at(self) -> list[str]:
        """The names of the places where it takes hold."""
        return [one.name for one in fields(self) if getattr(self, one.name) is not None]


@dataclass(frozen=True, slots=True)
class Flag:
    """It takes no value."""

    def parse(self, text: str | None) -> int:
        """Raises ValueError."""
        if text is not None:
            raise ValueError("takes no value")
        return 1

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number; `default` None: one must be given."""

    least: int
    most: int
    what: str
    default: int | None = None

    def parse(self, text: str | None) -> int:
        if text is None and self.default is not None:
            return self.default
        try:
            number = int(text or "", 0)
        except ValueError:
            number = self.least - 1
        if not self.least <= number <= self.most:
            raise ValueError(f"needs a value: {self.least} to {self.most}, {self.what}")
        return number

    def __str__(self) -> str:
        told = f"{self.least} to {self.most}: {self.what}"
        return told if self.default is None else f"{told}; else {self.default}"


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words, each of which means a number. `what`: in the place of many words."""

    words: dict[str, int]
    default: str | None = None
    what: str = ""

    def parse(self, text: str | None) -> int:
        found = self.words.get(text or self.default or "")
        if found is None:
            raise ValueError(f"needs a value: one of {', '.join(self.words)}")
        return found

    def __str__(self) -> str:
        told = self.what or ", ".join(self.words)
        return told if self.default is None else f"{told}; else {self.default}"


@dataclass(frozen=True, slots=True)
class Impairment:
    """One way to misbehave. `does` continues "the daemon"; `rfc` names what it offends against.

    `libreswan`: its impairment of this name does the same. `make`: its state begins anew with each call.
    """

    name: str
    does: str
    rfc: str
    make: Callable[[int], Stages]
    value: Flag | Number | Word = Flag()
    libreswan: bool = False

    @property
    def usage(self) -> str:
        """How it is asked for: NAME, NAME=VALUE or NAME[=VALUE]."""
        if isinstance(self.value, Flag):
            return self.name
        return f"{self.name}=VALUE" if self.value.default is None else f"{self.name}[=VALUE]"

    @property
    def source(self) -> str:
        """The RFC with its section; RFC 7296 where `rfc` names none."""
        return self.rfc if self.rfc.startswith("RFC") else f"RFC 7296 {self.rfc}"


def of_requests(change: Callable[[Draft], None]) -> Stages:
    """Change our requests before they are sealed."""
    return Stages(message=lambda draft: change(draft) if draft.request else None)


def of_responses(change: Callable[[Draft], None]) -> Stages:
    """Change our responses before they are sealed."""
    return Stages(message=lambda draft: None if draft.request else change(draft))
