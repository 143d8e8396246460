"""What a probe found, as values that become JSON, text or a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ikepy.probe.discovery.algorithms import ASKED, ENCR, INTEG, KE, TITLES, name
from ikepy.probe.discovery.grading import Grade
from ikepy.probe.discovery.search import Sorted
from ikepy.wire.constants import TransformType
from ikepy.wire.proposal import Transform

FORMAT = 1  # of the JSON
ESN = TransformType.ESN
ESP_ASKED = (ENCR, INTEG, ESN, KE)


def title(kind: int) -> str:
    """What a transform type is called."""
    return "sequence numbers" if kind == ESN else TITLES[TransformType(kind)]


@dataclass
class Port:
    """`state`: "answers", "no answer", "port unreachable" or "not asked"; `words`: how it answered."""

    number: int
    state: str = "not asked"
    words: str = ""


@dataclass
class Vendor:
    """A vendor ID in hexadecimal, and whose it is ("" if that is not known)."""

    hex: str
    name: str


@dataclass
class Features:
    """What the response to IKE_SA_INIT announces; None where no response was seen.

    `redirect`: where we were sent to; "" if nowhere. `ca_hashes`: SHA-1 hashes of CAs' keys in certificate
    requests.
    """

    nat_detection: bool | None = None
    nat_before_us: bool | None = None
    nat_before_peer: bool | None = None
    fragmentation: bool | None = None
    signature_hashes: list[str] = field(default_factory=list)
    auth_methods: list[str] = field(default_factory=list)
    childless: bool | None = None
    intermediate: bool | None = None
    ppk: bool | None = None
    ppk_in_intermediate: bool | None = None
    multiple_auth: bool | None = None
    hash_and_url: bool | None = None
    redirect: str = ""
    certificate_requests: int = 0
    other_notifies: list[str] = field(default_factory=list)


@dataclass
class Cookies:
    """`asked_for`: times that a COOKIE came; `at_first`: it came to the first request already.
    `false_cookie`: what was answered to a request with a COOKIE that nobody gave.
    """

    asked_for: int = 0
    at_first: bool = False
    false_cookie: str = ""


@dataclass
class Timing:
    """Seconds from request to answer. `repeated`: what came to the same request, sent again."""

    answers: int = 0
    least: float = 0.0
    median: float = 0.0
    most: float = 0.0
    repeated: str = ""


@dataclass
class Odd:
    """What was answered to an odd message, what RFC 7296 wants, and what that answer is worth."""

    name: str
    section: str
    expected: str
    answer: str
    verdict: str


@dataclass
class OldIke:
    """IKEv1. `alive`: it is spoken; `main`, `aggressive`: what was accepted, else what was answered;
    `repeats_after`: seconds between its repetitions of an answer that we leave without one."""

    alive: bool = False
    main: str = "not asked"
    main_accepted: bool = False
    aggressive: str = "not asked"
    aggressive_accepted: bool = False
    repeats_after: list[float] = field(default_factory=list)


def _esp_transforms() -> dict[int, Sorted]:
    return {kind: Sorted() for kind in ESP_ASKED}


@dataclass
class Esp:
    """What is accepted for ESP, which takes credentials. `pfs`: "optional", "required", "not accepted" or
    "unclear"; KE has the groups of it. `mobike`: it is announced in IKE_AUTH.
    """

    transforms: dict[int, Sorted] = field(default_factory=_esp_transforms)
    pfs: str = ""
    mobike: bool = False


@dataclass
class Report:
    """All that was found. `complete`: nothing was left out; `remarks` say what, and what else is to be
    known.
    """

    host: str
    address: str
    started: str = ""  # UTC, ISO 8601
    seconds: float = 0.0
    requests: int = 0
    complete: bool = True
    remarks: list[str] = field(default_factory=list)
    ports: dict[int, Port] = field(default_factory=dict)
    suite: list[str] = field(default_factory=list)  # chosen of the first offer
    transforms: dict[int, Sorted] = field(default_factory=lambda: {kind: Sorted() for kind in ASKED})
    features: Features = field(default_factory=Features)
    vendors: list[Vendor] = field(default_factory=list)
    cookies: Cookies = field(default_factory=Cookies)
    timing: Timing = field(default_factory=Timing)
    odd: list[Odd] = field(default_factory=list)
    ikev1: OldIke = field(default_factory=OldIke)
    esp: Esp | None = None
    grades: list[Grade] = field(default_factory=list)

    @property
    def answers(self) -> bool:
        """Whether IKEv2 was answered on any port."""
        return any(port.state == "answers" for port in self.ports.values())

    def accepted(self, kind: int) -> list[Transform]:
        """What is accepted of a transform type."""
        return self.transforms[kind].accepted

    def as_json(self) -> dict[str, Any]:
        """JSON values; transforms by the names of the registry."""
        made = asdict(self)
        made["format"] = FORMAT
        made["ports"] = [asdict(port) for port in self.ports.values()]
        made["transforms"] = _sorted(self.transforms)
        if self.esp is not None:
            made["esp"]["transforms"] = _sorted(self.esp.transforms)
        return made


def _sorted(transforms: dict[int, Sorted]) -> dict[str, Any]:
    return {
        title(kind): {
            "accepted": _names(found.accepted),
            "refused": _names(found.refused),
            "unclear": _names(found.unclear),
        }
        for kind, found in transforms.items()
    }


def _names(transforms: list[Transform]) -> list[dict[str, Any]]:
    return [{"name": name(one), "id": one.id, "key_length": one.key_length} for one in transforms]
