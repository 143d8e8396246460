"""Users of a real strongSwan at our gateway, which asks a real FreeRADIUS (RFC 3579)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikepy.lab.netns import LabError
from ikepy.lab.strongswan import StrongSwan
from tests.interop import freeradius
from tests.interop.bed import Bed
from tests.interop.freeradius import FreeRadius
from tests.interop.test_eap import PASSWORD, PLUGINS, USER, ours, theirs

pytestmark = [pytest.mark.root, pytest.mark.strongswan, pytest.mark.freeradius]

USERS = f"""\
{USER} Cleartext-Password := "{PASSWORD}"
    Framed-IP-Address = 10.9.0.5,
    Class = "gold",
    Session-Timeout = 600,
    Acct-Interim-Interval = 60
"""
RADIUS = f"""
[radius]
accounting = true
retransmit_timeout = 1
[radius.servers.gone]
address = "127.0.0.1"
auth_port = 1645
acct_port = 1646
preference = 9
secret = "{freeradius.SECRET}"
[radius.servers.there]
address = "127.0.0.1"
secret = "{freeradius.SECRET}"
"""


@pytest.fixture
def server(bed: Bed, tmp_path: Path) -> Iterator[FreeRadius]:
    command = ("ip", "netns", "exec", bed.pair.left.name)
    with FreeRadius(tmp_path / "radius", users=USERS, command=command) as server:
        yield server


def start(bed: Bed, word: str, password: str = PASSWORD) -> None:
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    bed.theirs.start(theirs(word, user=True, password=password))
    bed.ours.start(ours("eap-radius", user=False) + RADIUS)


@pytest.mark.parametrize("word", ["eap-mschapv2", "eap-md5"])
def test_a_user_is_let_in(bed: Bed, server: FreeRadius, word: str) -> None:
    """FreeRADIUS proposes MSCHAPv2; the first server of ours is not there."""
    start(bed, word)
    bed.up("strongSwan")
    bed.expect_traffic()
    assert bed.our_sa["remote_eap_id"] == USER
    time.sleep(1.2)  # the counters of a new child are not read before
    bed.terminate("strongSwan", ike="net")
    bed.wait_for_nothing()
    bed.wait(lambda: "Acct-Status-Type = Stop" in server.accounting(), "accounting")
    begin, stop = server.accounting().split("Acct-Status-Type = Stop")
    assert "Acct-Status-Type = Start" in begin
    for told in (begin, stop):
        assert 'User-Name = "alice@example.org"' in told
        assert "Framed-IP-Address = 10.9.0.5" in told
        assert "Class = 0x676f6c64" in told
    assert "Acct-Terminate-Cause = User-Request" in stop
    octets = re.search(r"Acct-Input-Octets = (\d+)", stop)
    assert octets is not None and int(octets[1]) > 2000


def test_a_wrong_password_is_refused(bed: Bed, server: FreeRadius) -> None:
    start(bed, "eap-mschapv2", "a guess")
    with pytest.raises(LabError):
        bed.initiate("strongSwan")
    bed.wait_for_log("ikepy", "the RADIUS server there refuses the user 'alice@example.org'")
    bed.wait_for_nothing()
