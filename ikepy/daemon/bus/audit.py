"""Makes the audit lines: who is behind each SA that comes up, is replaced, goes down or is refused, why,
and for how long it was up.

RFC 4301 9 leaves the form open. Here a line is `key=value` pairs, which are the fields of a line in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from ikepy.daemon.bus.given_up import given_up
from ikepy.daemon.log_format import Fields
from ikepy.sa.api.ends import Failure
from ikepy.sa.api.events import (
    ChildDown,
    ChildRekeyed,
    ChildSetUpFailed,
    ChildUp,
    Event,
    IkeDown,
    IkeMoved,
    IkeRekeyed,
    IkeSetUpFailed,
    IkeUp,
)
from ikepy.sa.api.log_source import NamedSa, Peer
from ikepy.sa.api.path import Address
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot
from ikepy.wire.constants import NotifyType

AUDITED: tuple[type[Event], ...] = (
    IkeUp,
    IkeRekeyed,
    IkeMoved,
    IkeDown,
    IkeSetUpFailed,
    ChildUp,
    ChildRekeyed,
    ChildDown,
    ChildSetUpFailed,
)
MOST_TEXT = 400  # characters of a reason, which may quote a peer
Values = dict[str, str | int | float]
_BARE = re.compile(r"[\w.:@\[\]+/-]+")


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What happened (`kind`), the fields, and who caused it."""

    kind: str
    fields: Values
    source: Address | Peer

    @property
    def text(self) -> str:
        """`ike-up connection=site-b ike_id=1 ...`: values with other than a word's characters are quoted."""
        pairs = (f"{key}={_quoted(value)}" for key, value in self.fields.items() if key != "event")
        return " ".join((self.kind, *pairs))


class Audit:
    """Makes the lines, and remembers since when what is up is up, over rekeys. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ikes: dict[int, float] = {}  # by ike_id
        self._children: dict[int, float] = {}  # by child_id

    def line(self, event: Event) -> AuditLine | None:
        """The line of an event; None if it is of no audited kind."""
        match event:
            case IkeUp(sa):
                self._ikes[sa.ike_id] = self._clock()
                return _line("ike-up", sa, _whole(sa))
            case IkeRekeyed(old, new):
                self._ikes[new.ike_id] = self._ikes.pop(old.ike_id, self._clock())
                return _line("ike-rekey", new, _whole(new) | {"replaces": old.ike_id})
            case IkeMoved(sa, path, reason):
                why = reason.name.lower().replace("_", "-")
                return _line("ike-move", sa, _whole(sa) | {"from": str(path), "reason": why})
            case IkeDown(sa, end, failure, text):
                found = _reason(text or end.value, failure) | self._lasted(self._ikes.pop(sa.ike_id, None))
                return _line("ike-down", sa, _whole(sa) | found)
            case IkeSetUpFailed():
                return _refused(event)
            case ChildUp(sa, child):
                self._children[child.child_id] = self._clock()
                return _line("child-up", sa, _child(child) | _selectors(child))
            case _:
                return self._of_child(event)

    def _of_child(self, event: Event) -> AuditLine | None:
        match event:
            case ChildRekeyed(sa, old, new):
                self._children[new.child_id] = self._children.pop(old.child_id, self._clock())
                return _line("child-rekey", sa, _child(new) | {"replaces": old.child_id} | _selectors(new))
            case ChildDown(sa, child, reason):
                lasted = self._lasted(self._children.pop(child.child_id, None))
                return _line("child-down", sa, _child(child) | {"reason": reason.value} | lasted)
            case ChildSetUpFailed(sa, name, failure, text):
                return _line("child-refused", sa, {"child": name, **_reason(text, failure)})
        return None

    def _lasted(self, since: float | None) -> Values:
        return {} if since is None else {"seconds": round(self._clock() - since, 1)}


def _refused(event: IkeSetUpFailed) -> AuditLine:
    """Whoever has not authenticated is attributed to the address."""
    reason, sa = _reason(event.text or event.end.value, event.failure), event.sa
    if sa is None:
        where: Values = {"local": str(event.path.local), "remote": str(event.path.remote)}
        kind = "ike-refused"
        return AuditLine(kind, {"event": kind, **where, **reason}, event.path.remote.address)
    line = _line("ike-cancelled" if given_up(event) else "ike-refused", sa, _whole(sa) | reason)
    return line if sa.initiator else AuditLine(line.kind, line.fields, sa.path.remote.address)


def fields_of_sa(sa: NamedSa | IkeSaSnapshot) -> Fields:
    """The IKE_SA's names, for JSON."""
    return {
        "connection": sa.connection,
        "ike_id": sa.ike_id,
        "spi_i": sa.spi_i.hex(),
        "spi_r": sa.spi_r.hex(),
    }


def _line(kind: str, sa: IkeSaSnapshot, fields: Values) -> AuditLine:
    identity = "" if sa.remote_id is None else str(sa.remote_id)
    return AuditLine(kind, {"event": kind, **fields_of_sa(sa), **fields}, Peer(sa.connection, identity))


def _whole(sa: IkeSaSnapshot) -> Values:
    return {
        "local": str(sa.path.local),
        "local_id": "%any" if sa.local_id is None else str(sa.local_id),
        "remote": str(sa.path.remote),
        "remote_id": "%any" if sa.remote_id is None else str(sa.remote_id),
        **({"eap_id": sa.eap_id} if sa.eap_id else {}),
        "role": "initiator" if sa.initiator else "responder",
    }


def _child(child: ChildSnapshot) -> Values:
    return {
        "child": child.name,
        "child_id": child.child_id,
        "spi_in": f"{child.spi_in:08x}",
        "spi_out": f"{child.spi_out:08x}",
    }


def _selectors(child: ChildSnapshot) -> Values:
    return {
        "ts_local": ",".join(map(str, child.ts_local)),
        "ts_remote": ",".join(map(str, child.ts_remote)),
    }


def _reason(text: str, failure: Failure | None) -> Values:
    found: Values = {"reason": text[:MOST_TEXT]}
    if failure is not None:
        found["by"] = failure.by.name.lower()
        if failure.notify is not None:
            known = failure.notify in NotifyType._value2member_map_
            found["notify"] = NotifyType(failure.notify).name if known else failure.notify
    return found


def _quoted(value: str | float) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
