"""ipsec.conf and ipsec.secrets: inheritance, strongSwan's defaults, refusals, the pod's own files."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.packet.selectors import Selector
from ikepy.config import toml_source
from ikepy.config.proposals import to_text
from ikepy.config.sources import convert, ipsec, ipsec_keys, ipsec_syntax, recognise
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError

STRONG = "LzU0vX3nRkq9TfWm7cYh"
# What the image of the pod makes of its templates (openvnf/vnf-ipsec).
POD = """# ipsec.conf - strongSwan IPsec configuration file

config setup
	# strictcrlpolicy=yes
	# uniqueids = no

#conn sample-self-signed
#      leftsubnet=10.1.0.0/16

conn sts-base
	fragmentation=yes
	dpdaction=restart
	ike=aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072
	esp=aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072
	keyingtries=%forever
	forceencaps=yes
	lifetime=3600
	ikelifetime=10800

conn site-static-ip
	also=sts-base
	keyexchange=ikev2
	leftsubnet=0.0.0.0/0
	left=192.0.2.1
	leftid=gwa
	rightsubnet=0.0.0.0/0
	right=192.0.2.2
	rightid=gwb
	auto=route
	leftauth=psk
	rightauth=psk
	mark=42
"""


def conn(*lines: str, name: str = "net") -> str:
    given = "".join(f"\t{line}\n" for line in lines)
    return f"conn {name}\n\tauto=add\n\tauthby=psk\n\tright=192.0.2.2\n\trightsubnet=10.2.0.0/16\n{given}"


def read(tmp_path: Path, text: str, secrets: str = f': PSK "{STRONG}"\n') -> Reading:
    path = tmp_path / "ipsec.conf"
    path.write_text(text)
    (tmp_path / "ipsec.secrets").write_text(secrets)
    (tmp_path / "ipsec.secrets").chmod(0o600)
    return recognise.read(path)


def mistakes(tmp_path: Path, text: str, secrets: str = f': PSK "{STRONG}"\n') -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, secrets)
    assert STRONG not in str(caught.value)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def test_the_pods_files_are_read_unchanged(tmp_path: Path) -> None:
    reading = read(tmp_path, POD, f'gwb : PSK "{STRONG}"\n')
    assert reading.format == "ipsec.conf"
    [connection] = reading.config.connections.values()
    assert connection.name == "site-static-ip"
    assert connection.local_addrs == (ip_address("192.0.2.1"),)
    assert connection.remote_addrs == (ip_address("192.0.2.2"),)
    assert [to_text(one) for one in connection.proposals][:2] == [
        "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521",
        "aes192-prfsha256-sha256-modp3072",
    ]
    assert (connection.encap, connection.mobike, connection.keyingtries) == (True, True, 0)
    assert (connection.rekey_time, connection.reauth_time, connection.over_time) == (0, 10260, 540)
    assert (connection.dpd_delay, connection.unique) == (30, "replace")
    child = connection.children["site-static-ip"]
    assert child.local_ts == child.remote_ts == (Selector.of("0.0.0.0/0"),)
    assert (child.start_action, child.dpd_action, child.close_action) == ("trap", "start", "none")
    assert (child.life_time, child.rekey_time, child.rand_time) == (3600, 3060, 540)
    assert connection.vti.name == "vti42"
    secret = reading.config.psk(connection.local.id, connection.remote.id)
    assert secret is not None
    assert secret.expose() == STRONG.encode()


def test_the_images_folders_are_found_by_include_and_by_name(tmp_path: Path) -> None:
    for folder in "ipsec.config.d", "ipsec.secrets.d":
        (tmp_path / folder).mkdir()
    (tmp_path / "ipsec.config.d" / "ipsec.a.conf").write_text(POD)
    (tmp_path / "ipsec.secrets.d" / "ipsec.a.secrets").write_text(f'gwb : PSK "{STRONG}"\n')
    whole = read(tmp_path, "include ipsec.config.d/*.conf\n", "include ipsec.secrets.d/*.secrets\n").config
    one = recognise.read(tmp_path / "ipsec.config.d" / "ipsec.a.conf").config
    assert whole == one
    assert list(one.secrets) == ["ike-1"]


def test_what_is_inherited_counts_less_than_what_is_said(tmp_path: Path) -> None:
    text = """
conn %default
	ikelifetime=2h
	lifetime=20m
	margintime=1m
	rekeyfuzz=50%
conn a
	lifetime=30m
	dpdaction=clear
	dpddelay=5
conn b
	lifetime=40m
	leftid="c d"
"""
    found = read(tmp_path, text + conn("also=a", "also=b", "reauth=no") + conn("dpdaction=hold")).config
    connection = found.connections["net"]
    assert (connection.rekey_time, connection.reauth_time, connection.rand_time) == (7140, 0, 30)
    child = connection.children["net"]
    assert (child.life_time, child.rekey_time, child.rand_time) == (
        2400,
        2340,
        30,
    )
    assert (connection.dpd_delay, child.dpd_action) == (5, "trap")
    assert str(connection.local.id) == "c d"


@pytest.mark.parametrize(
    ("also", "order"),
    [
        ({"b": "a", "c": "a", "net": "c b"}, "b c a"),  # the two examples of strongSwan's conf_parser.c
        ({"c": "a b", "d": "b a", "net": "c d"}, "d c b a"),
    ],
)
def test_what_is_inherited_on_several_ways_counts_late(also: dict[str, str], order: str) -> None:
    names = sorted({"a", "b", "net", *also})
    counting = order.split()
    for first in range(len(counting)):
        text = ""
        for name in names:
            text += f"conn {name}\n\t{name}=1\n"
            text += f"\tlast={name}\n" if name in counting[first:] else ""
            text += "".join(f"\talso={one}\n" for one in also.get(name, "").split())
        values = ipsec_syntax.parse(Path("x"), text).conn("net")
        assert values["last"].text == counting[first]
        assert {*names} <= values.keys()


def test_authby_counts_where_neither_end_has_a_method(tmp_path: Path) -> None:
    connection = read(tmp_path, conn("leftauth=psk")).config.connections["net"]
    assert (str(connection.local.auth), str(connection.remote.auth)) == ("psk", "pubkey")
    connection = read(tmp_path, conn()).config.connections["net"]
    assert (str(connection.local.auth), str(connection.remote.auth)) == ("psk", "psk")


def test_strongswans_defaults(tmp_path: Path) -> None:
    connection = read(tmp_path, conn()).config.connections["net"]
    assert to_text(connection.proposals[0]) == "aes128-prfsha256-sha256-x25519"
    assert len(connection.proposals) > 1
    assert (connection.keyingtries, connection.dpd_delay, connection.unique) == (3, 0, "replace")
    assert (connection.reauth_time, connection.rekey_time) == (10260, 0)
    assert str(connection.remote.id) == "192.0.2.2"
    assert connection.local.id is None
    child = connection.children["net"]
    assert (child.replay_window, child.local_ts, child.start_action) == (32, ("dynamic",), "none")
    strict = read(tmp_path, conn("ike=aes128-sha256-modp2048!", "esp=aes128gcm16!")).config.connections["net"]
    assert (len(strict.proposals), len(strict.children["net"].esp_proposals)) == (1, 1)


def test_more_of_the_keys(tmp_path: Path) -> None:
    text = "config setup\n\tuniqueids=never\n" + conn(
        "left=%defaultroute",
        "leftsubnet=10.1.0.0/16,10.3.0.0/24[tcp/443]",
        "leftprotoport=udp/%any",
        "rightikeport=4500",
        "mobike=no",
        "rekey=no",
        "tfc=%mtu",
        "replay_window=-1",
        "lifebytes=1000",
        "closeaction=hold",
        "fragmentation=force",
        "keyingtries=7",
    )
    connection = read(tmp_path, text).config.connections["net"]
    assert (connection.local_addrs, connection.remote_port) == (("%any",), 4500)
    assert (connection.mobike, connection.unique, connection.keyingtries) == (False, "never", 7)
    assert (connection.rekey_time, connection.reauth_time) == (0, 0)
    child = connection.children["net"]
    assert child.local_ts == (Selector.of("10.1.0.0/16", 17), Selector.of("10.3.0.0/24", 6, 443, 443))
    assert (child.tfc_padding, child.close_action, child.life_time) == ("mtu", "trap", 0)
    volume = (
        read(tmp_path, conn("lifebytes=1000", "marginbytes=100")).config.connections["net"].children["net"]
    )
    assert (volume.life_bytes, volume.rekey_bytes, volume.rand_bytes) == (1000, 900, 100)


def test_conns_that_say_the_same_of_ike_are_children_of_one_connection(tmp_path: Path) -> None:
    other = conn("leftsubnet=10.9.0.0/16", name="second")
    third = conn("rightid=@elsewhere", name="third")
    found = read(tmp_path, conn() + other + third + "conn ignored\n\tright=192.0.2.9\n").config.connections
    assert {name: list(one.children) for name, one in found.items()} == {
        "net": ["net", "second"],
        "third": ["third"],
    }


@pytest.mark.parametrize("key", sorted(ipsec_keys.RULES))
def test_a_key_that_ikepy_has_not_is_refused_or_remarked(tmp_path: Path, key: str) -> None:
    rule = ipsec_keys.RULES[key]
    if rule.is_grave:
        assert f"ipsec.conf:6: conn net.{key}: {rule.text}" in mistakes(tmp_path, conn(f"{key}=x"))
    else:
        reading = read(tmp_path, conn(f"{key}=x"))
        assert (f"conn net.{key}", rule.text) in reading.remarks
        assert reading.places[f"conn net.{key}"] == f"{tmp_path}/ipsec.conf:6"
    for harmless in rule.harmless:
        assert read(tmp_path, conn(f"{key}={harmless}")).remarks == read(tmp_path, conn()).remarks


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("conn a\n\tnonsense\n", "ipsec.conf:2: not a parameter"),
        ("config setup\nlifetime=1h\n", "ipsec.conf:2: no section begins so"),
        ("config setup\nconn\n", "ipsec.conf:2: no section begins so"),
        ("include x.none\nconn a\n", "ipsec.conf:1: include: there is no such file"),
        ('conn a\n\tleftid="x\n', "ipsec.conf:2: the text behind a quote does not end"),
        (conn("also=nobody"), "ipsec.conf:6: conn net.also: there is no conn of this name"),
        (conn("also=net"), "ipsec.conf:6: conn net.also: conns inherit from each other in a circle"),
        (conn("keyexchange=ikev1"), "ipsec.conf:6: conn net.keyexchange: ikepy speaks IKEv2 only"),
        (conn("auto=perhaps"), "ipsec.conf:6: conn net.auto: allowed: ignore, add, route, start"),
        (conn("liftime=1h"), 'ipsec.conf:6: conn net.liftime: unknown key (did you mean "lifetime"?)'),
        (conn("ike=nonsense"), "ipsec.conf:6: conn net.ike[0]: no key exchange"[:30]),
        (conn("esp=aes128-what!"), "ipsec.conf:6: conn net.esp[0]: "),
        (conn("ikelifetime=soon"), "ipsec.conf:6: conn net.ikelifetime: not a time"),
        (conn("lifetime=soon"), "ipsec.conf:6: conn net.lifetime: not a time"),
        (conn("lifebytes=many"), "ipsec.conf:6: conn net.lifebytes: allowed: "),
        (conn("keyingtries=often"), "ipsec.conf:6: conn net.keyingtries: allowed: "),
        (conn("mark=x"), "ipsec.conf:6: conn net.mark: not a mark"),
        (conn("type=passthrough"), "ipsec.conf:6: conn net.type: unknown mode"),
        (conn("leftauth=pubkex"), 'ipsec.conf:6: conn net.leftauth: allowed: "psk", "pubkey"'),
        (conn("leftsubnet=10.0.0.1/8"), "ipsec.conf:6: conn net.leftsubnet[0]: bits are set"),
        (conn("rightsubnet=0.0.0.0/0"), "ipsec.conf:1: conn net: all addresses at the peer"),
        (conn("right=192.0.2.300"), "ipsec.conf:6: conn net.right[0]: not an address"),
        (conn("leftid=CH=C"), "ipsec.conf:6: conn net.leftid: 'CH' is no attribute"),
        (
            "config setup\n\tuniqueids=perhaps\n" + conn(),
            "ipsec.conf:2: config setup.uniqueids: allowed: yes",
        ),
    ],
)
def test_a_mistake_is_told_with_line_and_key(tmp_path: Path, text: str, told: str) -> None:
    lines = mistakes(tmp_path, text)
    assert [line for line in lines if line.startswith(told)], lines


@pytest.mark.parametrize(
    ("entry", "ids", "secret"),
    [
        (': PSK "a b # c"', [], b"a b # c"),
        (": PSK 'a\"b'", [], b'a"b'),
        ("192.0.2.1 %any : PSK 0x00ff", ["192.0.2.1", "None"], b"\x00\xff"),
        ("@gwa gwb:PSK 0sAQID".replace("gwb:", "gwb : "), ["gwa", "gwb"], b"\x01\x02\x03"),
        ('fd00::1 "gw b" : psk plain # comment', ["fd00::1", "gw b"], b"plain"),
        (': PSK "0x00ff"', [], b"0x00ff"),
        (": PSK 0X00ff", [], b"\x00\xff"),
        ('gwa\n\tgwb : PSK\n\t"next line"', ["gwa", "gwb"], b"next line"),
    ],
)
def test_secrets(tmp_path: Path, entry: str, ids: list[str], secret: bytes) -> None:
    found = read(tmp_path, conn(), f"# secrets\n\n{entry}\n").config.secrets["ike-1"]
    assert [str(one) for one in found.ids] == ids
    assert found.secret.expose() == secret


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ("\nhush hush\n", "ipsec.secrets:2: not an entry"),
        ("a : WHAT hush\n", "ipsec.secrets:1: unknown kind of secret; allowed: PSK"),
        (": PSK 0xhush\n", "ipsec.secrets:1: line 1, PSK.secret: only hex digits"),
        (': PSK "hush\n', "ipsec.secrets:1: PSK: the secret ends neither"),
        (': PSK "hush" hush\n', "ipsec.secrets:1: PSK: the secret ends neither"),
        (": PSK hush hush\n", "ipsec.secrets:1: PSK: the secret ends neither"),
        (": PSK\n", "ipsec.secrets:1: line 1, PSK.secret: the secret is empty"),
        ("include nothing.there\n", "ipsec.secrets:1: include: there is no such file"),
    ],
)
def test_bad_secrets_are_told_without_them(tmp_path: Path, secrets: str, told: str) -> None:
    lines = mistakes(tmp_path, conn(), secrets)
    assert [line for line in lines if line.startswith(told)], lines
    assert "hush" not in "".join(lines)


def test_what_is_no_psk_and_who_may_read_it_is_remarked(tmp_path: Path) -> None:
    text = conn() + "config setup\n\tcharondebug=2\n\tother=1\n"
    told = dict(read(tmp_path, text, f': BLISS key.pem\n: PSK "{STRONG}"\n').remarks)
    assert "secrets of the kind BLISS are not supported" in told["line 1, BLISS"]
    assert {"config setup.charondebug", "config setup.other"} <= told.keys()
    (tmp_path / "ipsec.secrets").chmod(0o644)
    told = dict(recognise.read(tmp_path / "ipsec.conf").remarks)
    assert "every user may read it" in told["line 2, PSK"]
    (tmp_path / "ipsec.secrets").unlink()
    with pytest.raises(ConfigError, match=r"ipsec\.conf: secrets: there is no .*/ipsec\.secrets: make it"):
        recognise.read(tmp_path / "ipsec.conf")


def test_what_is_converted_means_the_same(tmp_path: Path) -> None:
    reading = read(tmp_path, POD + conn() + conn("leftsubnet=10.8.0.0/16", name="more"))
    draft = recognise.draft(tmp_path / "ipsec.conf")
    assert draft is not None
    assert toml_source.parse(convert.to_toml(draft, secrets=True), str(tmp_path / "x.toml")) == reading.config


@given(st.text('conain  \t\n"#=@%\\alsoruth1', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        ipsec.draft(Path("/nowhere/ipsec.conf"), f"conn a\n{text}").read()
    except ConfigError as error:
        assert all(told for _, told in error.problems)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("lifetime=8m", "lifetime"),
        ("keylife=9m", "keylife"),
        ("ikelifetime=5m", "ikelifetime"),
        ("rekeymargin=61m", "rekeymargin"),
        ("lifebytes=1000\n\tmarginbytes=1000", "lifebytes"),
        ("lifepackets=10\n\tmarginpackets=20", "lifepackets"),
    ],
)
def test_a_lifetime_that_leaves_no_time_for_a_rekey(tmp_path: Path, line: str, key: str) -> None:
    remarks = dict(read(tmp_path, conn(line)).remarks)
    assert "nothing is ever rekeyed" in remarks[f"conn net.{key}"]
    assert not read(tmp_path, conn(line, "rekey=no")).remarks
    assert not read(tmp_path, conn("lifetime=1h", "ikelifetime=1h")).remarks


@pytest.mark.parametrize("fuzz", ["abc", "50 %", "-5%", "1e2"])
def test_a_fuzz_that_is_no_percentage(tmp_path: Path, fuzz: str) -> None:
    [told] = mistakes(tmp_path, conn(f"rekeyfuzz={fuzz}"))
    assert "conn net.rekeyfuzz: allowed: a percentage, like 100%" in told


def test_what_is_in_no_conn_that_is_loaded_is_told(tmp_path: Path) -> None:
    """A mistyped `auto` leaves a conn out."""
    written = f"config setup\n\talso=base\n{conn()}conn other\n\tatuo=start\n\tright=192.0.2.3\n"
    remarks = dict(read(tmp_path, written).remarks)
    assert "inherits nothing" in remarks["config setup.also"]
    assert remarks["conn other.atuo"].startswith('unknown key (did you mean "auto"?)')
    assert "the conn is not loaded" in remarks["conn other.atuo"]
    assert not read(tmp_path, f"{conn()}conn other\n\tauto=ignore\n\tatuo=start\n").remarks
