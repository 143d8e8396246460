"""swanctl.conf: each key with strongSwan's units and defaults, and what is refused or remarked (5.9.8)."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.config.model import Config
from ikepy.config.proposals import to_text
from ikepy.config.report import SWANCTL_ONLY
from ikepy.config.sources import swanctl
from ikepy.config.sources import swanctl_keys as keys
from ikepy.config.sources.rules import Rule
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError

STRONG = "LzU0vX3nRkq9TfWm7cYh"


def text(connection: str = "", child: str = "", local: str = "", remote: str = "", rest: str = "") -> str:
    return f"""connections {{
  site {{
    remote_addrs = 192.0.2.2
    local {{
      auth = psk
      id = gwa
      {local}
    }}
    remote {{
      auth = psk
      id = gwb
      {remote}
    }}
    children {{
      net {{
        remote_ts = 10.2.0.0/16
        {child}
      }}
    }}
    {connection}
  }}
}}
secrets {{
  ike-site {{
    id = gwb
    secret = {STRONG}
  }}
}}
{rest}
"""


def read(source: str, path: Path = Path("s.conf")) -> Reading:
    return swanctl.draft(path, source).read()


def config(source: str) -> Config:
    return read(source).config


def mistakes(source: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(source)
    return str(caught.value)


def test_a_section_where_selectors_belong_is_a_mistake() -> None:
    said = mistakes("connections { site { children { net { remote_ts { x = 1 } } } } }")
    assert "s.conf:1: connections.site.children.net.remote_ts: must be a list" in said


def test_strongswans_defaults_hold_where_ours_differ() -> None:
    connection = config(text()).connections["site"]
    assert connection.keyingtries == 1
    assert connection.children["net"].replay_window == 32
    plain = config(
        "connections { a { remote_addrs = 192.0.2.2\n children { c { remote_ts = 10.0.0.0/8 } } } }"
    )
    assert plain.connections["a"].methods == {"pubkey"}


def test_every_key_means_what_it_means_to_strongswan() -> None:
    connection = config(
        text(
            """
            version = 2
            local_addrs = 192.0.2.1, 198.51.100.0/24, %any
            remote_port = 0x1194
            proposals = aes128gcm16-prfsha256-x25519, aes256-sha384-modp3072
            encap = yes
            mobike = disabled
            dpd_delay = 2m
            fragmentation = accept
            childless = never
            keyingtries = 0
            unique = replace
            rekey_time = 3h
            over_time = 10 m
            rand_time = 0s
            vti { addresses = 169.254.1.1/30
                  routes = 10.2.0.0/16, 10.3.0.0/16
                  mtu = 1400
                  mss_clamp = yes }
            probe { targets = 10.2.0.1, 10.3.0.1
                    interval = 5 }
            """,
            """
            esp_proposals = aes128gcm16-x25519
            local_ts = 10.1.0.0/16[tcp/443], 10.1.0.5-10.1.0.9[udp/1024-2048], dynamic
            rekey_time = 30m
            life_time = 1h
            rand_time = 5m
            rekey_bytes = 100M
            life_bytes = 1 G
            rand_bytes = 10k
            rekey_packets = 1000
            replay_window = 128
            tfc_padding = mtu
            mode = tunnel
            start_action = trap
            close_action = start
            dpd_action = restart
            """,
        )
    ).connections["site"]
    assert connection.local_addrs[0] == ip_address("192.0.2.1")
    assert connection.local_addrs[2] == "%any"
    assert connection.remote_port == 0x1194
    assert to_text(connection.proposals[0]) == "aes128gcm16-prfsha256-x25519"
    assert (connection.encap, connection.mobike, connection.fragmentation) == (True, False, "accept")
    assert (connection.dpd_delay, connection.keyingtries, connection.unique) == (120, 0, "replace")
    assert (connection.rekey_time, connection.over_time, connection.rand_time) == (10800, 600, 0)
    assert (connection.vti.mtu, connection.vti.mss_clamp, len(connection.vti.routes or ())) == (1400, True, 2)
    assert connection.probe is not None
    assert (list(map(str, connection.probe.targets)), connection.probe.interval) == (
        ["10.2.0.1", "10.3.0.1"],
        5,
    )
    child = connection.children["net"]
    assert child.local_ts[0] == Selector.of("10.1.0.0/16", 6, 443, 443)
    assert child.local_ts[2] == "dynamic"
    assert (child.rekey_time, child.life_time, child.rand_time) == (1800, 3600, 300)
    assert (child.rekey_bytes, child.life_bytes, child.rand_bytes) == (100 * 2**20, 2**30, 10 * 2**10)
    assert (child.rekey_packets, child.replay_window, child.tfc_padding) == (1000, 128, "mtu")
    assert (child.start_action, child.close_action, child.dpd_action) == ("trap", "start", "start")


@pytest.mark.parametrize(
    ("lines", "rekey", "reauth", "rand"),
    [
        ("", 14400, 0, 1440),
        ("reauth_time = 2h", 0, 7200, 720),
        ("reauth_time = 1h\nrekey_time = 20h", 72000, 3600, 1800),
        ("rekey_time = 1h\nover_time = 1h", 3600, 0, 1800),
    ],
)
def test_lifetimes_of_an_ike_sa_are_derived_as_by_strongswan(
    lines: str, rekey: float, reauth: float, rand: float
) -> None:
    found = config(text(lines)).connections["site"]
    assert (found.rekey_time, found.reauth_time, found.random_time) == (rekey, reauth, rand)


def test_a_hard_limit_alone_gives_the_soft_one() -> None:
    child = config(text(child="life_time = 1100\nlife_bytes = 1100\nlife_packets = 110")).connections["site"]
    net = child.children["net"]
    assert (net.rekey_time, net.rekey_bytes, net.rekey_packets) == (1000, 1000, 100)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("0x708", 1800), ("010", 8), ("0x10 M", 960), ("2H", 7200), ("1 d", 86400), ("0", 0)],
)
def test_times_are_numbers_as_c_has_them(line: str, seconds: float) -> None:
    assert config(text(f"rekey_time = {line}")).connections["site"].rekey_time == seconds


@pytest.mark.parametrize(
    "word", ["gw.example.org", "@gwb", "fqdn:gwb", "keyid:abc", "@#00ff", "192.0.2.9", "user@example.org"]
)
def test_identities(word: str) -> None:
    source = text().replace("id = gwb", f"id = {word}" if "#" not in word else f'id = "{word}"')
    assert config(source).connections["site"].remote.id == Identity.parse(word)


def test_secrets_in_all_forms_belong_to_their_identities() -> None:
    found = config(
        text(
            rest="""secrets {
              ike-2 { id-a = c
                      id-b = 192.0.2.7
                      secret = 0x00ff10 }
              ike-3 { secret = 0sAQID }
              ike-4 { secret = "a \\"b\\" # c" }
            }"""
        )
    ).secrets
    assert [str(one) for one in found["ike-2"].ids] == ["c", "192.0.2.7"]
    assert found["ike-2"].secret.expose() == b"\x00\xff\x10"
    assert found["ike-3"].secret.expose() == b"\x01\x02\x03"
    assert found["ike-4"].secret.expose() == b'a "b" # c'


def test_every_key_of_strongswan_is_in_the_model_or_has_a_rule() -> None:
    for kind, rules in ("connection", keys.CONNECTION), ("child", keys.CHILD):
        assert SWANCTL_ONLY[kind] - set(swanctl.MARKS) == rules.keys()
    sections = {"cert", "cacert"}  # of which swanctl has several, with a number behind
    known = SWANCTL_ONLY["local"] | SWANCTL_ONLY["remote"]
    assert known - sections - {"round"} == keys.LOCAL.keys() | keys.REMOTE.keys()


CHILD_LINE, CONNECTION_LINE, LOCAL_LINE, REMOTE_LINE = 17, 20, 7, 12


@pytest.mark.parametrize(
    ("place", "line", "path", "rules"),
    [
        ("connection", CONNECTION_LINE, "connections.site", keys.CONNECTION),
        ("child", CHILD_LINE, "connections.site.children.net", keys.CHILD),
        ("local", LOCAL_LINE, "connections.site.local", keys.LOCAL),
        ("remote", REMOTE_LINE, "connections.site.remote", keys.REMOTE),
    ],
)
def test_a_key_that_ikepy_has_not_is_refused_or_remarked(
    place: str, line: int, path: str, rules: dict[str, Rule]
) -> None:
    for key, rule in rules.items():
        source = text(**{place: f"{key} = something"})
        if rule.is_grave:
            assert f"s.conf:{line}: {path}.{key}: {rule.text}" in mistakes(source).splitlines()
        else:
            reading = read(source)
            assert (f"{path}.{key}", rule.text) in reading.remarks
            assert reading.places[f"{path}.{key}"] == f"s.conf:{line}"
        for word in ("", *rule.harmless):
            assert read(text(**{place: f"{key} = {word}"})).remarks == read(text()).remarks


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (text("encap = perhaps"), "s.conf:20: connections.site.encap: allowed: true, false"),
        (text("proposals = aes128"), "s.conf:20: connections.site.proposals[0]: "),
        (
            text("reky_time = 1h"),
            's.conf:20: connections.site.reky_time: unknown key (did you mean "rekey_time"?)',
        ),
        (text("remote_port = x"), "s.conf:20: connections.site.remote_port: allowed: a whole number"),
        (
            text(child="rekey_bytes = 5 MiB"),
            "s.conf:17: connections.site.children.net.rekey_bytes: allowed: ",
        ),
        (
            text(child="local_ts = 10.0.0.1/8"),
            "s.conf:17: connections.site.children.net.local_ts[0]: bits are set",
        ),
        (text(child="mark_in = x"), "s.conf:17: connections.site.children.net.mark_in: not a mark"),
        (text("version = 1"), "s.conf:20: connections.site.version: allowed: 2"),
        (
            text("local-2 { auth = psk\n}\nlocal-3 { auth = psk\n}"),
            "s.conf:22: connections.site.local-3: is more than the 2 rounds of authentication",
        ),
        (text("nonsense { }"), "s.conf:20: connections.site.nonsense: unknown key"),
        (
            text(remote="cacert-1 { slot = 1\n}"),
            "s.conf:12: connections.site.remote.cacert-1.slot: certificates of tokens are not read",
        ),
        (text("vti { mut = 5\n}"), "s.conf:20: connections.site.vti.mut: unknown key"),
        (
            text(rest="secrets {\nike-x { id = a=b\nsecret = y } }"),
            "s.conf:30: secrets.ike-x.id: 'a' is no attribute",
        ),
        (
            text(rest="secrets {\nike-x { secret = 0xyz } }"),
            "s.conf:30: secrets.ike-x.secret: only hex digits",
        ),
        (text(rest="daemon {\nport = 99999 }"), "s.conf:30: daemon.port: allowed: "),
        (
            text().replace("id = gwb", "id = gwc", 1),
            's.conf:11: connections.site.remote.id: no secret fits "gwa" and "gwc": add one for them',
        ),
        (
            "connections {\na { local { auth = psk }\nremote { auth = psk } } }",
            "s.conf:2: connections.a.children: is missing",
        ),
    ],
)
def test_a_mistake_is_told_with_line_and_key(source: str, told: str) -> None:
    lines = mistakes(source).splitlines()
    assert [line for line in lines if line.startswith(told)], lines
    assert STRONG not in "".join(lines)


@pytest.mark.parametrize("key", swanctl.MARKS)
def test_the_device_has_the_number_of_the_mark(key: str) -> None:
    reading = read(text(child=f"{key} = 0x2a"))
    assert reading.config.connections["site"].vti.name == "vti42"
    assert [told for place, told in reading.remarks if place == "connections.site" and "vti42" in told]
    assert (
        config(text(f"{key} = 7") if key.startswith("if") else text(child=f"{key} = 7/0xff"))
        .connections["site"]
        .vti.name
        == "vti7"
    )


def test_a_device_without_mark_has_the_connections_name_and_no_two_share_one() -> None:
    source = text() + text() + text()
    names = ["a-very-long-name-of-one", "a-very-long-name-of-two", "site"]
    for name in names:
        source = source.replace("  site {", f"  {name} {{", 1)
    devices = [one.vti.name for one in config(source).connections.values()]
    assert devices[0] == "a-very-long-nam"
    assert devices[2] == "site"
    assert devices[1].startswith("a-very-lon-")
    assert len(set(devices)) == 3


def test_children_with_different_marks_are_refused() -> None:
    source = text("children { other { remote_ts = 10.9.0.0/16\nmark_out = 2 } }", "mark_out = 1")
    assert "s.conf:2: connections.site: its children have different marks" in mistakes(source)


def test_all_traffic_without_a_mark_is_refused_for_it_would_leave_unprotected() -> None:
    everything = text().replace("10.2.0.0/16", "0.0.0.0/0")
    assert "s.conf:15: connections.site.children.net: all addresses at the peer" in mistakes(everything)
    marked = everything.replace("remote_ts", "mark_in = 1\nremote_ts")
    assert config(marked).connections["site"].vti.name == "vti1"
    routed = everything.replace("children {", "vti { routes = 0.0.0.0/0\n }\nchildren {")
    assert config(routed).connections["site"].vti.routes


def test_sections_and_secrets_that_ikepy_has_not_are_named() -> None:
    reading = read(text(rest="pools {\n p { addrs = 10.0.0.0/24 } }\nsecrets { xauth-1 { secret = x } }"))
    told = dict(reading.remarks)
    assert told["secrets.xauth-1"] == keys.SECRETS["xauth"]
    assert list(reading.config.pools) == ["p"]
    assert list(reading.config.secrets) == ["ike-site"]


def test_a_file_that_others_read_and_that_holds_a_secret_is_remarked(tmp_path: Path) -> None:
    (tmp_path / "secrets.conf").write_text("secrets { ike { secret = LzU0vX3nRkq9TfWm7cYz } }")
    (tmp_path / "secrets.conf").chmod(0o644)
    told = read(f"{text()}\ninclude secrets.conf", tmp_path / "s.conf")
    [(key, remark)] = [one for one in told.remarks if "holds it" in one[1]]
    assert key == "secrets.ike.secret"
    assert "every user may read it" in remark
    assert told.places[key] == f"{tmp_path}/secrets.conf:1"


# As strongSwan's own tests are written: a gateway to a gateway, and a gateway for whoever has the secret.
NET_TO_NET = """
connections {

   gw-gw {
      local_addrs  = 192.168.0.1
      remote_addrs = 192.168.0.2

      local {
         auth = psk
         id = moon.example.org
      }
      remote {
         auth = psk
         id = sun.example.org
      }
      children {
         net-net {
            local_ts  = 10.1.0.0/16
            remote_ts = 10.2.0.0/16

            rekey_time = 5400
            rekey_bytes = 500000000
            rekey_packets = 1000000
            esp_proposals = aes128gcm128-x25519
         }
      }
      version = 2
      mobike = no
      reauth_time = 10800
      proposals = aes128-sha256-x25519
   }
}

secrets {
   ike-1 {
      id-moon = moon.example.org
      id-sun = sun.example.org
      secret = 0sv+NkxY9LLZvwj4qCC2o/gGrWDF2d21jL
   }
}
"""
ROAD_WARRIORS = """
connections {
   rw {
      local_addrs  = 192.168.0.1
      local {
         auth = psk
         id = moon.example.org
      }
      remote {
         auth = psk
      }
      children {
         net {
            local_ts  = 10.1.0.0/16
            esp_proposals = aes128gcm128-x25519
         }
      }
      version = 2
      proposals = aes128-sha256-x25519
   }
}
secrets {
   ike-carol {
      id = carol@example.org
      secret = 0sFpZAZqEN6Ti9sqt4ZP5EWcqx
   }
   ike-dave {
      id = 192.168.0.200
      secret = 0sjVzONCF02ncsgiSlmIXeqhGN
   }
}
"""


def test_a_gateway_to_a_gateway_as_strongswan_writes_it() -> None:
    reading = read(NET_TO_NET)
    assert reading.remarks == ()
    connection = reading.config.connections["gw-gw"]
    assert (connection.rekey_time, connection.reauth_time, connection.mobike) == (0, 10800, False)
    child = connection.children["net-net"]
    assert (child.rekey_time, child.rekey_bytes, child.rekey_packets) == (5400, 500_000_000, 1_000_000)
    secret = reading.config.psk(connection.local.id, connection.remote.id)
    assert secret is not None
    assert len(secret.expose()) == 24


def test_a_gateway_for_road_warriors_as_strongswan_writes_it() -> None:
    found = read(ROAD_WARRIORS).config
    connection = found.connections["rw"]
    assert connection.remote_addrs == ("%any",)
    assert connection.remote.id is None
    assert connection.children["net"].remote_ts == ("dynamic",)
    carol, dave = (
        found.psk(connection.local.id, Identity.parse(one)) for one in ("carol@example.org", "192.168.0.200")
    )
    assert carol is not None
    assert dave is not None
    assert carol.expose() != dave.expose()


def test_a_script_is_named_and_refused_as_it_opens_the_firewall() -> None:
    source = NET_TO_NET.replace("rekey_time = 5400", "updown = /usr/lib/ipsec/_updown iptables")
    assert mistakes(source).startswith(
        "s.conf:21: connections.gw-gw.children.net-net.updown: no script is run"
    )


def test_our_section_of_router_advertisements() -> None:
    section = """router_advertisements {
      vxeth0 {
        default_router = no
        routes = fd02::/64, fd03::/64
        max_interval = 30
        route_lifetime = 2m
      }
    }"""
    found = read(text(rest=section)).config.router_advertisements["vxeth0"]
    assert (found.default_router, found.max_interval, found.route_lifetime) == (False, 30, 120)
    assert [str(one) for one in found.routes or ()] == ["fd02::/64", "fd03::/64"]
    told = mistakes(text(rest="router_advertisements {\nvxeth0 { mtu = 5 } }")).splitlines()
    assert told[0].startswith("s.conf:30: router_advertisements.vxeth0.mtu: allowed: "), told


def test_redirects_resumption_and_restarts() -> None:
    keys_of_connection = "redirect = never\nredirect_to = 192.0.2.9\nresumption = yes"
    daemon = "daemon {\nredirect_to = gw2.example.org\nstate_dir = /var/lib/ikepy\n"
    daemon += "ticket_lifetime = 600\nkeylog_dir = /root/keys\n}"
    config = read(text(keys_of_connection, rest=daemon)).config
    site = config.connections["site"]
    assert (site.redirect, site.redirect_to, site.resumption) == ("never", ip_address("192.0.2.9"), True)
    assert str(config.daemon.redirect_to) == "gw2.example.org"
    assert config.daemon.state_dir == Path("/var/lib/ikepy")
    assert config.daemon.keylog_dir == Path("/root/keys")
    assert (config.daemon.ticket_lifetime, config.daemon.crash_detection) == (600.0, True)


def test_postquantum_preshared_key() -> None:
    """ppk_id, ppk_required and a secret whose section begins with "ppk" (RFC 8784)."""
    key = "secrets { ppk-1 { id = ppk1\n secret = 0x000102030405060708090a0b0c0d0e0f } }"
    found = config(text("ppk_id = ppk1\n    ppk_required = yes", rest=key))
    connection = found.connections["site"]
    assert str(connection.ppk_id) == "ppk1"
    assert connection.ppk_required
    secret = found.ppk(b"ppk1")
    assert secret is not None
    assert secret.expose() == bytes(range(16))
