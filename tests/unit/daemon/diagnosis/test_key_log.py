"""A daemon that writes its keys says so for as long as it runs."""

from __future__ import annotations

from pathlib import Path

from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.control.snapshot import DaemonState, Snapshot
from ikepy.daemon.diagnosis.diagnose import diagnose
from ikepy.daemon.diagnosis.findings import Code, Severity
from ikepy.daemon.diagnosis.history import History

from .bed import UNIX, only


def test_a_key_log_is_told_of() -> None:
    history = History(lambda: 100.0)
    history.listen(EventBus())
    snapshot = Snapshot(100.0, UNIX, DaemonState("0", UNIX, key_log=Path("/root/keys")))
    finding = only(diagnose(snapshot, history))
    assert (finding.code, finding.severity) == (Code.KEY_LOG, Severity.WARNING)
    assert "/root/keys" in finding.what
    silent = Snapshot(100.0, UNIX, DaemonState("0", UNIX))
    assert diagnose(silent, history).findings == ()
