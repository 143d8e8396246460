"""What a diagnosis consists of, as values: tunnels, their states, and what was found on each.

A program decides by the codes, which stay as they are; the sentences are for people. Times are on the
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum

from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.sa.api.snapshot import Waiting


class Code(StrEnum):
    """What was found."""

    # the IKE_SA does not come up
    PEER_SILENT = "peer-silent"
    AUTH_UNANSWERED = "auth-unanswered"
    IKE_PROPOSALS = "ike-proposals"
    KEY_EXCHANGE = "key-exchange"
    AUTHENTICATION = "authentication"
    NAT_IDENTITY = "nat-identity"
    UNKNOWN_ADDRESS = "unknown-address"
    HALF_OPEN_LIMIT = "half-open-limit"
    REFUSED = "refused"
    # the child does not come up, or does not stay
    SELECTORS = "selectors"
    CHILD_PROPOSALS = "child-proposals"
    PFS = "pfs"
    REKEY_REFUSED = "rekey-refused"
    EXPIRED = "expired"
    # the IKE_SA does not stay
    UNANSWERED = "unanswered"
    ENDED = "ended"
    PEER_RESTARTED = "peer-restarted"
    FLAPPING = "flapping"
    SEVERAL_IKE_SAS = "several-ike-sas"
    PEER_MOVED = "peer-moved"
    RESUMED = "resumed"
    # traffic
    ESP_BLOCKED = "esp-blocked"
    NOTHING_COMES_IN = "nothing-comes-in"
    WENT_SILENT = "went-silent"
    CAME_BACK = "came-back"
    NOTHING_GOES_OUT = "nothing-goes-out"
    NO_ROUTE = "no-route"
    OVERLAPPING_ROUTES = "overlapping-routes"
    OUTSIDE_SELECTORS_IN = "outside-selectors-in"
    OUTSIDE_SELECTORS_OUT = "outside-selectors-out"
    INTEGRITY = "integrity"
    REPLAYS = "replays"
    TOO_BIG = "too-big"
    PATH_MTU = "path-mtu"
    PROBE_UNANSWERED = "probe-unanswered"
    UNKNOWN_SPI = "unknown-spi"
    # this host
    ADDRESS_GONE = "address-gone"
    NO_ADDRESS = "no-address"
    DEVICE = "device"
    NO_WORKER = "no-worker"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_EXPIRES = "certificate-expires"
    IMPAIRED = "impaired"
    KEY_LOG = "key-log"


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"  # nothing goes through, or soon won't
    WARNING = "warning"  # something is lost, or will be
    NOTE = "note"  # all is well, but this is worth knowing


@dataclass(frozen=True, slots=True)
class Finding:
    """What happened, why, and what to do; each a sentence or two, "" where nothing is known.

    `at`: when it was last seen; None: it is so now. `ours` and `theirs`: what differs, to be shown side by
    side; `theirs` None: the peer did not tell.
    """

    code: Code
    severity: Severity
    what: str
    why: str = ""
    do: str = ""
    at: float | None = None
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] | None = None


class State(Enum):
    """How a tunnel is, in a word."""

    UP = "up"
    PARTLY_UP = "partly up"  # some children are
    NO_CHILD = "IKE is up, no child is"
    CONNECTING = "connecting"
    WAITING = "waiting"  # for a packet, a command, the next try
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ChildDiagnosis:
    """A configured child. `since`: when it came up or went down, None if it never did.

    `traffic`: of all its SAs since the daemon's start.
    """

    name: str
    up: bool
    since: float | None
    waiting: Waiting
    until: float | None
    failures: int
    device: str
    traffic: Traffic
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class TunnelDiagnosis:
    """A connection. `remote`: the peer's address, or those that are configured.

    `round_trip`: seconds, the mean of its first probe that is answered. `quantum_safe`: whether all
    its children are; None without any. `wants_quantum_safe`: whether its configuration asks for that.
    """

    connection: str
    remote: str
    state: State
    since: float | None
    findings: tuple[Finding, ...]
    children: tuple[ChildDiagnosis, ...]
    round_trip: float | None = None
    quantum_safe: bool | None = None
    wants_quantum_safe: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Of the whole daemon, at one moment. `findings`: those that belong to no connection.

    `tunnels`: each is worked out when it is asked for, once.
    """

    at: float
    tunnels: Iterable[TunnelDiagnosis]
    findings: tuple[Finding, ...]
