"""What the options of `ikepy probe conformance` mean, and what is said of those that mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ikepy.cli import main
from ikepy.probe import registry, sets
from ikepy.probe.conformance.options import OptionError, Words, target
from ikepy.probe.target import Limits
from tests.pki import chain
from tests.unit.probe.two_peers import free_ports


@pytest.fixture(autouse=True)
def _no_cases_stay() -> Iterator[None]:
    sets.load()
    with registry.aside():
        yield


def test_defaults(tmp_path: Path) -> None:
    (tmp_path / "psk").write_text("a secret\n")
    found = target(Words("127.0.0.1", psk_file=tmp_path / "psk"), Limits())
    assert found.psk.expose() == b"a secret"
    assert (str(found.local_id), str(found.remote_id)) == ("127.0.0.1", "127.0.0.1")
    assert found.local_host == ip_address("10.1.0.15")
    assert found.remote_net == ip_network("10.2.0.0/24")
    assert found.remote_host is None
    assert found.encapsulation == "udp"


def test_a_secret_of_hexadecimal_digits(tmp_path: Path) -> None:
    (tmp_path / "psk").write_text("0xabadcafe\n")
    assert target(Words("127.0.0.1", psk_file=tmp_path / "psk"), Limits()).psk.expose().hex() == "abadcafe"


def test_identities_and_triggers() -> None:
    words = Words(
        "127.0.0.1", identities=("config=c.example",), triggers=("rekey-ike=swanctl --rekey --ike 'a b'",)
    )
    found = target(words, Limits())
    assert str(found.identities["config"]) == "c.example"
    assert found.triggers == {"rekey-ike": ["swanctl", "--rekey", "--ike", "a b"]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"host": "224.0.0.1"}, "no single host"),
        ({"host": "192.0.2"}, "192.0.2 is no complete address"),
        ({"host": "0xc0000201"}, "is no complete address"),
        ({"source": "::1"}, "--source: ::1 is not of IPv4"),
        ({"local_net": "10.1.0.1/24"}, "--local-net: "),
        ({"remote_net": "0.0.0.0/0"}, "--remote-net: "),
        ({"local_id": "%any"}, "--local-id: "),
        ({"ike": "aes128-nonsense"}, "--ike: "),
        ({"esp": "aes128-nonsense"}, "--esp: "),
        ({"host": "vpn..example.org"}, "is no host's name"),
        ({"host": f"{'a' * 64}.example.org"}, "is no host's name"),
        ({"identities": ("config",)}, "is not NAME=ID"),
        ({"identities": ("certifcate=a.example",)}, "names: config, certificate"),
        ({"triggers": ("initiate='ssh a",)}, "--trigger: .*No closing quotation"),
        ({"triggers": ("explode=now",)}, "names: initiate, stop"),
    ],
)
def test_refused(words: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        target(Words(**{"host": "127.0.0.1", **words}), Limits())


def test_secrets_that_are_none(tmp_path: Path) -> None:
    for text in ("", "0xnot-hex", "a" * 5000):
        (tmp_path / "psk").write_text(text)
        with pytest.raises(OptionError, match="--psk-file"):
            target(Words("127.0.0.1", psk_file=tmp_path / "psk"), Limits())


def conformance(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["probe", "conformance", *arguments])
    return done.exit_code, done.output


def test_cases_are_listed() -> None:
    status, output = conformance("--list", "-k", "SGW.R.1.1.4.*")
    assert status == 0
    assert [line.split()[0] for line in output.splitlines()][:3] == [
        "SGW.R.1.1.4.1",
        "SGW.R.1.1.4.2",
        "SGW.R.1.1.4.3.A",
    ]


def test_the_mapping_is_printed() -> None:
    status, output = conformance("--mapping")
    assert status == 0
    assert "group 2: group 14 (RFC 8247 2.4" in output


def test_errors_are_said() -> None:
    assert conformance()[0] == 2
    assert "--psk-file" in conformance("127.0.0.1")[1]
    told = "ikepy: /nowhere: No such file or directory\n"
    assert conformance("127.0.0.1", "--psk-file", "/nowhere") == (1, told)
    assert "no case is named" in conformance("--list", "-k", "NOTHING.*")[1]


def test_cases_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from ikepy.probe.registry import case\n"
        '@case("OWN.TEST.1", rfc="RFC 7296 1.4")\n'
        "async def mine(peer):\n"
        '    """A case of mine."""\n'
    )
    status, output = conformance("--list", "--load", str(file), "-k", "OWN.TEST.*")
    assert (status, output.split()[:1]) == (0, ["OWN.TEST.1"])
    file.write_text("this is no Python")
    assert "own.py" in conformance("--list", "--load", str(file))[1]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("import ikepy.no_such_module", "No module named"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (
            "from ikepy.probe.registry import case\n"
            "for _ in range(2):\n"
            '    case("OWN.TEST.2", rfc="RFC 7296 1.4")(lambda peer: None)\n',
            "case OWN.TEST.2 is there twice; give it another ID",
        ),
    ],
)
def test_cases_of_ones_own_that_cannot_be_loaded(tmp_path: Path, lines: str, told: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(lines)
    status, output = conformance("--list", "--load", str(file))
    assert status == 1
    assert output.startswith(f"ikepy: --load: {file}: ")
    assert told in output


def test_certificates(tmp_path: Path) -> None:
    root = chain().root
    certificate, key = chain().moon.write(tmp_path, "moon")
    (tmp_path / "ca.crt").write_bytes(root.pem)
    files: dict[str, Any] = {"cert": certificate, "key": key, "ca": tmp_path / "ca.crt"}
    found = target(Words("127.0.0.1", **files), Limits()).credentials
    assert found is not None
    assert (found.own, found.ca) == (chain().moon.der, root.der)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"cert": certificate}, "go together"),
        ({**files, "cert": tmp_path / "ca.crt"}, "is not the key of"),
        ({**files, "ca": key}, "moon.key: "),
        ({**files, "key": certificate}, "moon.crt: "),
    ]
    for given, told in wrong:
        with pytest.raises(OptionError, match=told):
            target(Words("127.0.0.1", **given), Limits())


def test_a_run_that_is_stopped_goes_on(tmp_path: Path) -> None:
    (tmp_path / "psk").write_text("a secret")
    ports = " ".join(map(str, free_ports(4)))
    own = tmp_path / "own.py"
    own.write_text(
        "import os, signal\n"
        "from ikepy.probe.registry import case\n"
        '@case("STOP.1", rfc="RFC 7296 1")\n'
        "async def first(peer):\n    pass\n"
        '@case("STOP.2", rfc="RFC 7296 1")\n'
        "async def second(peer):\n"
        "    if not os.path.exists(os.environ['STOPPED']):\n"
        "        open(os.environ['STOPPED'], 'w')\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        await peer.pause(30)\n"
    )
    command = [sys.executable, "-m", "ikepy", "probe", "conformance", "127.0.0.1", "--psk-file", "psk"]
    command += [*f"--ports {ports} --interval 0 --out run --resume --load own.py -k STOP.*".split()]
    environment = {**os.environ, "STOPPED": str(tmp_path / "stopped")}
    run = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    stopped = run(command)
    assert stopped.returncode == 130, stopped.stderr
    assert "stopped after 1 of 2 cases; --resume --out run goes on" in stopped.stderr
    assert "STOP.1" in (tmp_path / "run/report.txt").read_text()
    again = run(command)
    assert again.returncode == 0, again.stderr
    assert "STOP.1" not in again.stdout
    assert "2 pass" in again.stdout
