"""ikepy on the left, a real libreswan on the right: only their IKE_SAs, for this kernel has no ESP.

Either side begins without a child (RFC 6023): a child that libreswan can't install takes its IKE_SA along.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ikepy.lab import gateway, libreswan, pair
from ikepy.lab.gateway import Gateway
from ikepy.lab.libreswan import Libreswan
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair
from tests.interop.bed import daemon
from tests.netns.namespaces import wait_until

Side = Literal["ikepy", "libreswan"]
SIDES: tuple[Side, ...] = ("ikepy", "libreswan")

OURS = gateway.Connection(
    local_addrs=(pair.LEFT,),
    remote_addrs=(pair.RIGHT,),
    local_ts=(pair.LEFT_NET,),
    remote_ts=(pair.RIGHT_NET,),
    # libreswan 4.10 knows no additional key exchanges: it takes the second one.
    proposals=("aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes128gcm16-prfsha256-x25519"),
    extra='childless = "force"\nunique = "replace"\n',
    daemon='log_level = "debug"\n' + daemon(retransmit_timeout=0.5, retransmit_tries=3, half_open_timeout=2),
)
THEIRS = libreswan.Connection(
    options={"pfs": "no", "retransmit-timeout": "3s", "retransmit-interval": "500", "keyingtries": "1"}
)
ALWAYS = ("omit-v2-ike-auth-child:yes", "revival:yes")
PATIENCE = 1.2  # seconds: retransmissions come after 0.5
_FAULTS = (r"ERROR +fault:", "Traceback")


class LibreswanBed:
    """Both daemons, running."""

    def __init__(self, ends: Pair, files: Path) -> None:
        self.ours = Gateway(ends.left, files / "ikepy")
        self.theirs = Libreswan(ends.right, files / "libreswan")

    def start(self, ours: gateway.Connection = OURS, theirs: libreswan.Connection = THEIRS) -> None:
        self._start_theirs(theirs)
        self.ours.start(ours)

    def _start_theirs(self, theirs: libreswan.Connection) -> None:
        self.theirs.start(theirs)
        self.theirs.impair(*ALWAYS)

    def revive(self) -> None:
        """libreswan has died of a fault of its own: start it again, and begin anew."""
        self.theirs.stop(keep_files=True)
        self._start_theirs(THEIRS)
        self.clear()

    def initiate(self, by: Side) -> None:
        """One side begins; what comes of it is to be waited for. Our child is refused in any case."""
        if by == "ikepy":
            with contextlib.suppress(LabError):
                self.ours.initiate(timeout=PATIENCE)
        else:
            self.theirs.initiate()

    def up(self, by: Side) -> None:
        """An IKE_SA stands, at both ends the same."""
        self.initiate(by)
        self.wait_for_one()

    def our_ids(self) -> list[int]:
        """The numbers of our established IKE_SAs."""
        return [sa["ike_id"] for sa in self.ours.list_sas() if sa["state"] == "ESTABLISHED"]

    def agree(self) -> bool:
        """Does exactly one IKE_SA stand at both ends, and is there nothing else here?

        There may be: who replays old messages to itself half-opens IKE_SAs.
        """
        return len(self.ours.list_sas()) == len(self.theirs.established()) == 1 and self.stands()

    def stands(self) -> bool:
        """Does one stand at both ends, whatever else there is?"""
        return bool(self.our_ids() and self.theirs.established())

    def wait_for_one(self, timeout: float = 10.0) -> None:
        wait_until(self.agree, "one IKE_SA, the same at both ends", timeout)

    def behave(self) -> None:
        """libreswan misbehaves no longer."""
        self.theirs.impair("none", *ALWAYS)

    def clear(self) -> None:
        """No IKE_SA is left at either end: each tells the other, and forgets what was not answered. Again if
        one comes up meanwhile, for what was asked for before may still be under way."""

        def cleared() -> bool:
            self.theirs.terminate()
            with contextlib.suppress(LabError):
                self.ours.terminate(ike="net", timeout=PATIENCE)
            with contextlib.suppress(LabError):
                self.ours.terminate(ike="net", force=True)
            return not self.ours.list_sas() and not self.theirs.established()

        wait_until(cleared, "no SA left", 15)

    def assert_unharmed(self) -> None:
        """Our daemon runs, and its log has no fault of ours."""
        assert self.ours.running
        lines = self.ours.log().splitlines()
        found = [line for line in lines if any(re.search(fault, line) for fault in _FAULTS)]
        assert not found, found

    def logs(self) -> str:
        return "\n".join(["--- ikepy's log", self.ours.log(), "--- pluto's log", self.theirs.log()])


@contextlib.contextmanager
def libreswan_bed(prefix: str, files: Path) -> Iterator[LibreswanBed]:
    """The bed, not yet started; stopped and its logs printed at the end."""
    with Pair(prefix) as ends:
        bed = LibreswanBed(ends, files)
        try:
            yield bed
        finally:
            ended = bed.ours.stop(keep_files=True)
            bed.theirs.stop(keep_files=True)
            print(bed.logs())
        assert ended, "ikepy does not end on SIGTERM"
