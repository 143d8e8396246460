"""A converted file means what its source meant, names what it lacks, and keeps secrets to its owner."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from ikepy.cli import main
from ikepy.config import toml_source
from ikepy.config.sources import convert, recognise, swanctl
from tests.unit.config.sources.test_swanctl import STRONG, text

TIMES = st.sampled_from(["1h", "30m", "86400", "90 s", "2d", "0"])
ADDRESSES = st.sampled_from(["192.0.2.2", "192.0.2.2, 192.0.2.3", "2001:db8::1", "192.0.2.2, %any"])
SELECTORS = st.sampled_from(
    ["dynamic", "10.0.0.0/16", "10.0.0.1-10.0.0.9[udp/500-600], 10.9.0.0/16[tcp/https]"]
)
VALUES = {
    "connection": {
        **dict.fromkeys(("rekey_time", "reauth_time", "over_time", "rand_time", "dpd_delay"), TIMES),
        "proposals": st.sampled_from(
            ["default", "aes128-sha256-modp2048", "aes256gcm16-prfsha384-ecp384,default"]
        ),
        "encap": st.sampled_from(["yes", "no", "enabled"]),
        "keyingtries": st.sampled_from(["0", "1", "0x10"]),
        "unique": st.sampled_from(["no", "never", "keep", "replace"]),
        "fragmentation": st.sampled_from(["yes", "no", "force", "accept"]),
    },
    "child": {
        **dict.fromkeys(("rekey_time", "life_time", "rand_time"), TIMES),
        **dict.fromkeys(("rekey_bytes", "life_bytes", "rand_packets"), st.sampled_from(["0", "1000", "77"])),
        "local_ts": SELECTORS,
        "esp_proposals": st.sampled_from(["default", "aes128gcm16", "aes128-sha1-none,aes256-sha256-x25519"]),
        "mark_in": st.sampled_from(["5", "0xff/0xff"]),
        "dpd_action": st.sampled_from(["clear", "trap", "restart"]),
        "replay_window": st.sampled_from(["0", "64"]),
        "updown": st.just("/bin/true"),
    },
}
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=30).filter(
    lambda secret: not secret.startswith(("0x", "0s"))
)


def lines(kind: str) -> st.SearchStrategy[str]:
    chosen = st.fixed_dictionaries({}, optional=VALUES[kind])
    return chosen.map(lambda keys: "\n".join(f"{key} = {value}" for key, value in keys.items()))


@given(lines("connection"), lines("child"), SECRETS)
def test_a_converted_file_means_the_same(connection: str, child: str, secret: str) -> None:
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    source = text(connection, child, rest=f'secrets {{ ike-2 {{ secret = "{quoted}" }} }}')
    draft = swanctl.draft(Path("/x/s.conf"), source)
    written = convert.to_toml(draft, secrets=True)
    assert toml_source.parse(written, "/x/s.toml") == draft.validate().config
    assert ("updown" in child) == bool(draft.refused) == ("# /x/s.conf:" in written and "updown" in written)


PEER = "203.0.113.2"  # no address of a machine that runs tests


def ikepy(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "swanctl.conf"
    path.write_text(text().replace("192.0.2.2", PEER))
    path.chmod(0o600)
    return path


def test_check_says_as_which_a_file_is_read(source: Path) -> None:
    for words in ("check", source), ("check", "-c", source):
        result = ikepy(*words)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            f"{source}: is read as swanctl.conf",
            f"site: %any to {PEER}, device site, children: net",
            f"{source}: 1 connection, 1 secret, no mistakes",
        ]


def test_check_tells_warnings_and_mistakes_with_their_lines(source: Path) -> None:
    source.write_text(text("dscp = 111000"))
    assert f"{source}:20: connections.site.dscp: warning: IKE packets have" in ikepy("check", source).stdout
    source.write_text(text("mediated_by = hub"))
    result = ikepy("check", source)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{source}:20: connections.site.mediated_by: mediation is not supported")


def test_run_refuses_what_it_can_not_do(source: Path) -> None:
    source.write_text(text("mediated_by = hub"))
    result = ikepy("run", "-c", source)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{source}:20: connections.site.mediated_by: mediation" in result.stderr


def test_convert_makes_a_file_for_its_owner_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    result = ikepy("convert", source, "-o", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{source}: is read as swanctl.conf and written to {out}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert toml_source.load(out) == swanctl.draft(source, source.read_text()).read().config
    again = ikepy("convert", source, "-o", out)
    assert again.exit_code == 1
    assert "can't be made: File exists; name a file that is not there yet" in again.stderr


def test_convert_prints_no_secret(source: Path) -> None:
    result = ikepy("convert", source)
    assert result.exit_code == 0
    assert STRONG not in result.output
    secrets = tomllib.loads(result.stdout)["secrets"]
    assert secrets == {"ike-site": {"ids": ["gwb"], "secret_file": "ike-site.psk"}}


def test_convert_prints_no_secret_of_radius(tmp_path: Path) -> None:
    source = tmp_path / "swanctl.conf"
    source.write_text(
        text(rest='radius { servers { one { address = 192.0.2.9\n secret = "between us two alone" } } }')
    )
    source.chmod(0o600)
    result = ikepy("convert", source)
    assert "between us two alone" not in result.stdout
    (server,) = tomllib.loads(result.stdout)["radius"]["servers"].values()
    assert server == {"address": "192.0.2.9", "secret_file": "radius-one.psk"}


def test_convert_prints_no_pin(tmp_path: Path) -> None:
    source, out = tmp_path / "swanctl.conf", tmp_path / "out.toml"
    source.write_text(text(rest="secrets { token-a { handle = a1\n module = /module.so\n pin = 98765432 } }"))
    source.chmod(0o600)
    result = ikepy("convert", source)
    assert "98765432" not in result.stdout and "# secrets.token-a.pin: left out here" in result.stdout
    assert tomllib.loads(result.stdout)["secrets"]["token-a"] == {"handle": "a1", "module": "/module.so"}
    ikepy("convert", source, "-o", out)
    assert tomllib.loads(out.read_text())["secrets"]["token-a"]["pin"] == "98765432"


def test_convert_names_what_it_leaves_out_and_fails(source: Path, tmp_path: Path) -> None:
    source.write_text(text("mediated_by = hub\ndscp = 111000"))
    out = tmp_path / "out.toml"
    result = ikepy("convert", source, "-o", out)
    assert result.exit_code == 1
    told = result.stderr.splitlines()
    assert told[0].startswith(f"{source}:20: connections.site.mediated_by: not carried over: ")
    assert told[1].startswith(f"{source}:21: connections.site.dscp: remark: ")
    assert told[-1] == f"ikepy: not all of {source} was carried over: 1 error, see above"
    assert told[0] in out.read_text()
    assert toml_source.load(out).connections["site"].vti.name == "site"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("connections {", ":1: the file ends within a section"),
        (text("encap = x"), ":20: connections.site.encap: allowed: true, false"),
        ("[connections.a]", ": is TOML already"),
    ],
)
def test_convert_of_a_bad_file(source: Path, tmp_path: Path, content: str, told: str) -> None:
    source.write_text(content)
    result = ikepy("convert", source, "-o", tmp_path / "out.toml")
    assert result.exit_code == 1
    assert f"{source}{told}" in result.stderr
    assert not (tmp_path / "out.toml").exists()
    assert ikepy("convert", tmp_path / "absent").exit_code == 1


def test_directories_that_stay_behind_are_told(tmp_path: Path) -> None:
    here, there = tmp_path / "swanctl", tmp_path / "ikepy"
    for name in ("x509ca", "private", "x509"):
        (here / name).mkdir(parents=True)
    for name in ("x509ca/root.pem", "private/gw.key"):
        (here / name).write_text("")
    (here / "swanctl.conf").write_text("connections { a { children { net { } } } }")
    draft = recognise.draft(here / "swanctl.conf")
    assert draft is not None
    assert not list(convert.left_behind(draft, here / "ikepy.toml"))
    assert [line.split(":")[0] for line in convert.left_behind(draft, there / "ikepy.toml")] == [
        f"{here}/x509ca",
        f"{here}/private",
    ]


def test_directories_of_ipsec_conf_that_stay_behind_are_told(tmp_path: Path) -> None:
    (tmp_path / "ipsec.d" / "certs").mkdir(parents=True)
    (tmp_path / "ipsec.d" / "certs" / "gw.pem").write_text("")
    (tmp_path / "ipsec.conf").write_text("conn a\n\tauto=add\n")
    (tmp_path / "ipsec.secrets").write_text("")
    draft = recognise.draft(tmp_path / "ipsec.conf")
    assert draft is not None
    (line,) = convert.left_behind(draft, tmp_path / "ikepy" / "ikepy.toml")
    assert line.startswith(f"{tmp_path}/ipsec.d/certs: ") and f"{tmp_path}/ikepy/ipsec.d/certs" in line
