"""`ikepy probe HOST` against ikepy, strongSwan and libreswan: what is configured is what is found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ikepy.config.proposals import parse
from ikepy.lab import gateway, libreswan, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.libreswan import Libreswan
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan
from ikepy.probe.conformance.options import Words, target
from ikepy.probe.discovery.algorithms import ASKED, name
from ikepy.probe.discovery.asking import Options
from ikepy.probe.discovery.esp import MakeTarget
from ikepy.probe.discovery.report import Report
from ikepy.probe.discovery.run import discover
from ikepy.probe.target import Limits
from ikepy.wire.constants import ProtocolId

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

OPTIONS = Options(rate=100, timeout=1.0, patience=0.1, listen=2.0)
OURS = gateway.Connection(
    local_addrs=(pair.RIGHT,),
    remote_addrs=(pair.LEFT,),
    local_ts=(pair.RIGHT_NET,),
    remote_ts=(pair.LEFT_NET,),
)
THEIRS = strongswan.Connection(local_addrs=pair.RIGHT, remote_addrs=pair.LEFT)
# What reaches charon as two proposals is offered and accepted as such: 3DES only with MODP_2048.
SUITES = ("aes256gcm16-aes128gcm16-prfsha384-prfsha256-x25519-ecp384", "3des-sha1-prfsha1-modp2048")


@pytest.fixture(scope="module")
def ends(prefixes: Iterator[str]) -> Iterator[Pair]:
    with Pair(next(prefixes)) as made:
        yield made


def probed(ends: Pair, address: str = pair.RIGHT, make_target: MakeTarget | None = None) -> Report:
    """From the left."""

    async def run() -> Report:
        return await discover("right", ip_address(address), OPTIONS, os.urandom, lambda _: None, make_target)

    return ends.left.inside(lambda: asyncio.run(run()))


def credentials(directory: Path) -> MakeTarget:
    """With the secret that both beds have."""
    secret = directory / "psk"
    secret.write_text("s3cr3t\n")
    words = Words(
        pair.RIGHT,
        source=pair.LEFT,
        psk_file=secret,
        local_id="gwa",
        remote_id="gwb",
        local_net=pair.LEFT_NET,
        remote_net=pair.RIGHT_NET,
    )
    return lambda ike: target(replace(words, ike=ike), Limits(interval_s=0))


def esp_names(report: Report) -> set[str]:
    """What is accepted for ESP."""
    assert report.esp is not None, report.remarks
    return {name(one) for found in report.esp.transforms.values() for one in found.accepted}


def letter(report: Report, profile: str) -> str:
    return next(one.letter for one in report.grades if one.profile == profile)


def names(report: Report) -> set[str]:
    """What is accepted."""
    return {name(one) for kind in ASKED for one in report.accepted(kind)}


def configured(*suites: str) -> set[str]:
    proposals = [each for text in suites for each in parse(text, ProtocolId.IKE)]
    return {name(one) for each in proposals for one in each.transforms}


def assert_found(report: Report, *suites: str) -> None:
    assert names(report) == configured(*suites)
    assert not [one for found in report.transforms.values() for one in found.unclear]
    assert report.complete
    assert [port.state for port in report.ports.values()] == ["answers", "answers"]
    assert report.timing.repeated == "the same answer"
    assert report.features.nat_detection
    assert not report.features.nat_before_us


@pytest.mark.parametrize("suites", [SUITES, ("aes128gcm16-prfsha256-x25519-ke1_mlkem768",)])
def test_ikepy(ends: Pair, tmp_path: Path, suites: tuple[str, ...]) -> None:
    with Gateway(ends.right, tmp_path) as ours:
        ours.start(replace(OURS, proposals=suites))
        report = probed(ends)
        assert ours.running
        assert "fault:" not in ours.log()
    assert_found(report, *suites)
    assert not report.features.nat_before_peer
    assert report.features.fragmentation
    assert report.features.childless
    assert not report.ikev1.alive
    assert {one.verdict for one in report.odd} == {"as RFC 7296 has it"}


def test_ikepy_over_ipv6_that_redirects(ends: Pair, tmp_path: Path) -> None:
    elsewhere = "2001:db8::99"
    with Gateway(ends.right, tmp_path) as ours:
        ours.start(
            replace(
                OURS,
                local_addrs=(pair.RIGHT6,),
                remote_addrs=(pair.LEFT6,),
                proposals=("aes256gcm16-prfsha384-ecp384",),
                daemon=f'redirect_to = "{elsewhere}"\ncookie_threshold = 1\n',
            )
        )
        report = probed(ends, pair.RIGHT6)
    assert names(report) == configured("aes256gcm16-prfsha384-ecp384")
    assert report.features.redirect == elsewhere
    assert report.cookies.asked_for > 0


def test_strongswan(ends: Pair, tmp_path: Path) -> None:
    with StrongSwan(ends.right, tmp_path, options={"send_vendor_id": "yes"}) as theirs:
        theirs.load(replace(THEIRS, proposals=",".join(SUITES), options={"version": "2"}))
        report = probed(ends)
        assert theirs.running
    assert_found(report, *SUITES)
    assert report.features.nat_before_peer  # its userspace ESP asks for UDP by a false hash
    assert report.features.multiple_auth
    assert report.features.signature_hashes == ["SHA2_256", "SHA2_384", "SHA2_512", "IDENTITY"]
    assert [one.name for one in report.vendors] == ["strongSwan"]
    assert report.ikev1.alive  # charon answers it, though no connection has it
    assert not report.ikev1.main_accepted


def test_strongswan_with_ikev1_in_aggressive_mode(ends: Pair, tmp_path: Path) -> None:
    old = THEIRS.text().replace("version = 2", "version = 1\n        aggressive = yes")
    with StrongSwan(
        ends.right, tmp_path, options={"i_dont_care_about_security_and_use_aggressive_mode_psk": "yes"}
    ) as theirs:
        theirs.load(old.replace(THEIRS.proposals, "aes128-sha1-modp2048").replace("id = gwa", "id = %any"))
        report = probed(ends)
    assert report.ikev1.alive
    assert report.ikev1.aggressive_accepted, report.ikev1
    assert "MODP_2048" in report.ikev1.aggressive


def test_esp_of_ikepy(ends: Pair, tmp_path: Path) -> None:
    ours = replace(
        OURS,
        local_id="gwb",
        remote_id="gwa",
        esp_proposals=("aes256gcm16-aes128gcm16-x25519-modp2048-esn-noesn",),
    )
    with Gateway(ends.right, tmp_path / "ikepy") as daemon:
        daemon.start(ours)
        report = probed(ends, make_target=credentials(tmp_path))
        assert daemon.running
        assert not [one for one in daemon.list_sas() if one["state"] == "ESTABLISHED"]
    wanted = {"AES_GCM_16_256", "AES_GCM_16_128", "CURVE_25519", "MODP_2048", "ESN", "NO_ESN"}
    assert esp_names(report) == wanted
    assert report.esp is not None
    assert report.esp.pfs == "required"
    assert report.esp.mobike
    assert letter(report, "rfc8221") == "B"


def test_esp_of_strongswan(ends: Pair, tmp_path: Path) -> None:
    theirs = replace(
        THEIRS,
        proposals="aes256-sha256-modp2048",
        esp_proposals="aes128gcm16-x25519,3des-sha1",
        local_ts=pair.RIGHT_NET,
        remote_ts=pair.LEFT_NET,
    )
    with StrongSwan(ends.right, tmp_path / "strongswan") as daemon:
        daemon.load(theirs)
        report = probed(ends, make_target=credentials(tmp_path))
        assert not [one for one in daemon.list_sas() if one["state"] == "ESTABLISHED"]
    wanted = {"AES_GCM_16_128", "3DES_CBC", "HMAC_SHA1_96", "CURVE_25519", "NO_ESN"}
    assert esp_names(report) == wanted
    assert report.esp is not None
    assert report.esp.pfs == "optional"
    assert letter(report, "rfc8221") == "C"


def test_a_wrong_secret_leaves_esp_unknown(ends: Pair, tmp_path: Path) -> None:
    with StrongSwan(ends.right, tmp_path / "strongswan") as daemon:
        daemon.load(replace(THEIRS, secret="another"))
        report = probed(ends, make_target=credentials(tmp_path))
    assert report.esp is None
    assert any("AUTHENTICATION_FAILED" in one for one in report.remarks)
    assert letter(report, "rfc8221") == "-"


@pytest.mark.libreswan
def test_libreswan(ends: Pair, tmp_path: Path) -> None:
    reason = libreswan.missing()
    if reason is not None:
        pytest.skip(reason)
    theirs = Libreswan(ends.right, tmp_path)
    theirs.start(libreswan.Connection(ike="aes_gcm256-sha2_512-dh20,aes128-sha2_256-dh14"))
    try:
        report = probed(ends)
        assert theirs.running
    finally:
        theirs.stop()
    assert_found(report, "aes256gcm16-prfsha512-ecp384", "aes128-sha256-modp2048")
    assert report.features.ppk
    assert not report.ikev1.alive
