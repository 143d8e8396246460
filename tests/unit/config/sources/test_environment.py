"""The variables of the pod's image: what they mean, what is missing, and that the secret does not stay."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from click.testing import CliRunner

from ikepy.cli import main
from ikepy.config import toml_source
from ikepy.config.sources import convert, environment
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError
from tests.unit.config.sources import test_ipsec

STRONG = test_ipsec.STRONG
POD = {
    "IPSEC_LOCALIP": "192.0.2.1",
    "IPSEC_LOCALID": "gwa",
    "IPSEC_LOCALNET": "0.0.0.0/0",
    "IPSEC_REMOTEIP": "192.0.2.2",
    "IPSEC_REMOTEID": "gwb",
    "IPSEC_REMOTENET": "0.0.0.0/0",
    "IPSEC_PSK": STRONG,
    "IPSEC_VTI_KEY": "42",
    "IPSEC_VTI_STATICROUTES": "10.2.0.0/16,10.3.0.0/16",
    "IPSEC_VTI_IPADDR_LOCAL": "169.254.10.1",
    "IPSEC_VTI_IPADDR_PEER": "169.254.10.2/30",
    "IPSEC_INTERFACES": "eth0",
    "PATH": "/bin",
    "IPSEC_SERVICE_HOST": "10.96.0.9",
    "IPSEC_PORT_500_UDP": "udp://10.96.0.9:500",
}


def read(**changed: str) -> Reading:
    return environment.draft(POD | changed).read()


def mistakes(**changed: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(**changed)
    assert STRONG not in str(caught.value)
    return str(caught.value).splitlines()


def test_what_the_image_makes_of_them() -> None:
    connection = read().config.connections["site-static-ip"]
    assert connection.local_addrs == (ip_address("192.0.2.1"),)
    assert (connection.encap, connection.keyingtries, connection.reauth_time) == (True, 0, 10260)
    child = connection.children["site-static-ip"]
    assert (child.start_action, child.dpd_action, child.life_time) == ("trap", "start", 3600)
    vti = connection.vti
    assert (vti.name, vti.addresses) == ("vti42", (ip_interface("169.254.10.1/32"),))
    assert vti.peers == (ip_address("169.254.10.2"),)
    assert vti.routes is not None
    assert [str(one) for one in vti.routes] == ["10.2.0.0/16", "10.3.0.0/16"]
    secret = read().config.psk(connection.local.id, connection.remote.id)
    assert secret is not None
    assert secret.expose() == STRONG.encode()


def test_it_is_what_the_images_own_files_mean(tmp_path: Path) -> None:
    files = test_ipsec.read(tmp_path, test_ipsec.POD, f"gwb : PSK {STRONG}\n").config
    ours, theirs = read().config.connections["site-static-ip"], files.connections["site-static-ip"]
    assert ours.model_copy(update={"vti": theirs.vti}) == theirs
    assert ours.vti.name == theirs.vti.name


@pytest.mark.parametrize(
    ("written", "secret"),
    [("0x00ff", b"\x00\xff"), ("'0x00ff'", b"0x00ff"), ('"a b"', b"a b"), ("0sAQID", b"\1\2\3")],
)
def test_the_secret_is_what_the_images_file_would_mean(written: str, secret: bytes) -> None:
    assert read(IPSEC_PSK=written).config.secrets["ike-1"].secret.expose() == secret


def test_the_variables_of_lifetimes_suites_and_others() -> None:
    reading = read(
        IPSEC_LIFETIME="2h",
        IPSEC_IKELIFETIME="8h",
        IPSEC_IKEREAUTH="no",
        IPSEC_FORCEUDP="no",
        IPSEC_IKECIPHER="aes256-sha256-modp2048!",
        DEBUG="yes",
    )
    connection = reading.config.connections["site-static-ip"]
    assert (connection.rekey_time, connection.reauth_time, connection.encap) == (28260, 0, False)
    assert connection.children["site-static-ip"].life_time == 7200
    assert len(connection.proposals) == 1
    assert reading.config.daemon.log_level == "debug"


def test_without_a_key_the_selectors_are_the_routes() -> None:
    reading = read(IPSEC_VTI_KEY="", IPSEC_LOCALNET="10.1.0.0/16", IPSEC_REMOTENET="10.2.0.0/16")
    vti = reading.config.connections["site-static-ip"].vti
    assert (vti.name, vti.routes, vti.addresses) == ("site-static-ip", None, ())


def test_remarks() -> None:
    told = dict(
        read(IPSEC_REMOTEIPP="x", SET_ROUTE_DEFAULT_TABLE="TRUE", IPSEC_LOCALPRIVIP="10.0.0.1").remarks
    )
    assert "is not known" in told["IPSEC_REMOTEIPP"]
    assert {"IPSEC_INTERFACES", "SET_ROUTE_DEFAULT_TABLE"} <= told.keys()
    assert "SET_ROUTE_DEFAULT_TABLE" not in dict(read(SET_ROUTE_DEFAULT_TABLE="FALSE").remarks)
    assert not {"IPSEC_SERVICE_HOST", "IPSEC_PORT_500_UDP"} & told.keys()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"IPSEC_PSK": ""}, "environment: IPSEC_PSK: is missing"),
        ({"IPSEC_PSK": f'"{STRONG}'}, "environment: IPSEC_PSK: the secret ends neither with its quote"),
        ({"IPSEC_PSK": f"{STRONG} x"}, "environment: IPSEC_PSK: the secret ends neither with its quote"),
        ({"IPSEC_REMOTENET": ""}, "environment: IPSEC_REMOTENET: is missing"),
        ({"IPSEC_REMOTEIP": "", "IPSEC_REMOTEID": ""}, "environment: IPSEC_REMOTEID: is missing"),
        ({"IPSEC_LOCALIP": "%any"}, "environment: IPSEC_INTERFACES: ikepy answers on each interface"),
        ({"IPSEC_LOCALIP": "192.0.2.1.9"}, "environment: IPSEC_LOCALIP[0]: not an address"),
        ({"IPSEC_KEYEXCHANGE": "ikev1"}, "environment: IPSEC_KEYEXCHANGE: ikepy speaks IKEv2 only"),
        ({"IPSEC_IKECIPHER": "aes"}, "environment: IPSEC_IKECIPHER[0]: no key exchange"),
        ({"IPSEC_LIFETIME": "soon"}, "environment: IPSEC_LIFETIME: not a time"),
        ({"IPSEC_VTI_KEY": "x"}, "environment: IPSEC_VTI_KEY: not a mark"),
        ({"IPSEC_VTI_STATICROUTES": "10.0.0.1/8"}, "environment: IPSEC_VTI_STATICROUTES[0]: bits are set"),
        ({"IPSEC_VTI_IPADDR_LOCAL": ""}, "environment: IPSEC_VTI_IPADDR_LOCAL: is missing"),
        ({"IPSEC_VTI_KEY": ""}, "environment: conn site-static-ip: all addresses at the peer"),
        ({"ENVFILE": "/x"}, "environment: ENVFILE: no file with variables is read"),
        (
            {"IPSEC_USE_MANUAL_CONFIG": "1"},
            "environment: IPSEC_USE_MANUAL_CONFIG: run ",
        ),
    ],
)
def test_a_mistake_names_the_variable(changed: dict[str, str], told: str) -> None:
    lines = mistakes(**changed)
    assert [line for line in lines if line.startswith(told)], lines


def test_what_is_converted_means_the_same() -> None:
    draft = environment.draft(POD)
    assert toml_source.parse(convert.to_toml(draft, secrets=True)) == draft.read().config


def test_the_secret_leaves_the_environment_and_proc() -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom ikepy.config.sources import environment\n"
        "before = Path('/proc/self/environ').read_bytes()\n"
        "found = environment.take()\n"
        "after = Path('/proc/self/environ').read_bytes()\n"
        "secret = found['IPSEC_PSK'].encode()\n"
        "assert secret in before and secret not in after and b'IPSEC_LOCALID=gwa' in after\n"
        "assert 'IPSEC_PSK' not in os.environ and os.getenv('IPSEC_LOCALID') == 'gwa'\n"
        "child = os.popen('env').read()\n"
        "assert found['IPSEC_PSK'] not in child and 'IPSEC_LOCALID' in child\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **POD, "PATH": os.environ["PATH"]}, check=True
    )


@pytest.mark.parametrize(("changed", "status"), [({}, 0), ({"IPSEC_KEYEXCHANGE": "ikev1"}, 1)])
def test_check_reads_the_environment(changed: dict[str, str], status: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ikepy", "check", "--env"],
        env={**os.environ, **POD, **changed, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == status, ended
    assert STRONG not in ended.stdout + ended.stderr
    expected = (
        "environment: is read as the variables IPSEC_… of the environment\nsite-static-ip: 192.0.2.1 to "
    )
    refused = "environment: IPSEC_KEYEXCHANGE: ikepy speaks IKEv2 only"
    assert ended.stdout.startswith(refused if status else expected)


@pytest.mark.parametrize("words", [["run", "-c", "x"], ["check", "-c", "x"], ["check", "x"]])
def test_a_file_beside_the_environment_is_a_mistake(words: list[str]) -> None:
    assert CliRunner().invoke(main, [*words, "--env"]).exit_code == 2
