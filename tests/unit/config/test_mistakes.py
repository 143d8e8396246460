"""Every mistake is told at once, each with its key path and with what is allowed."""

from pathlib import Path

import pytest

from ikepy.config.toml_source import load, parse
from ikepy.errors import ConfigError
from tests.unit.config.example import EXAMPLE, SECRET, minimal, problems


def test_all_mistakes_at_once() -> None:
    text = minimal(
        'local_addrs = ["gw..example"]\nproposals = ["aes128gcm16", "aes128-sha256-x25519"]\ndpd_delai = 3',
        'start_action = "now"',
        vti="mtu = 5",
        rest="[daemon]\nport = 65536\n[secrets.ike-x]\nsecret_file = '/nonexistent/psk'\n[what]",
    )
    assert set(problems(text)) == {
        "connections.a.local_addrs[0]",
        "connections.a.proposals[0]",
        "connections.a.dpd_delai",
        "connections.a.children.net.start_action",
        "connections.a.vti.mtu",
        "daemon.port",
        "secrets.ike-x.secret_file",
        "what",
    }


def test_error_text_has_file_key_and_what_is_allowed() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(minimal('unique = "always"'), "site.toml")
    assert caught.value.file == "site.toml"
    expected = 'site.toml: connections.a.unique: unknown policy; allowed: "no", "never", "keep", "replace"'
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        (minimal("dpd_dely = 3"), "connections.a.dpd_dely", 'did you mean "dpd_delay"?'),
        (minimal(child="replay_windo = 3"), "connections.a.children.net.replay_windo", '"replay_window"'),
        (minimal(vti="adresses = []"), "connections.a.vti.adresses", '"addresses"'),
        (minimal(local='ident = "x"'), "connections.a.local.ident", "allowed: auth, id"),
        ("[conections.a]", "conections", '"connections"'),
        ("[daemon]\nprt = 1", "daemon.prt", '"port"'),
        ("[secrets.ike-a]\nsecret='x'\nsecretfile='x'", "secrets.ike-a", '"secret_file"'),
        ("[secrets.ike-a]\nsecret='x'\nid-1='x'", "secrets.ike-a", "ids = ["),
    ],
)
def test_unknown_keys_get_a_suggestion(text: str, key: str, part: str) -> None:
    assert part in problems(text)[key]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (minimal('dscp = "000000"'), "connections.a.dscp"),
        (minimal(local='xauth_id = "x"'), "connections.a.local.xauth_id"),
        (minimal(child="ipcomp = true"), "connections.a.children.net.ipcomp"),
    ],
)
def test_swanctls_keys_that_we_lack_are_told_apart(text: str, key: str) -> None:
    assert problems(text)[key] == "known to swanctl, not supported by ikepy yet: leave it out"


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        (minimal("local_addrs = []"), "connections.a.local_addrs", "must not be empty"),
        (minimal("local_addrs = 5"), "connections.a.local_addrs", "must be a list"),
        (minimal("local_addrs = [5]"), "connections.a.local_addrs[0]", "text in quotes"),
        (minimal('local_addrs = ["192.0.2.300"]'), "connections.a.local_addrs[0]", "not an address"),
        (minimal('local_addrs = ["192.0.2.1/24"]'), "connections.a.local_addrs[0]", "no network"),
        (minimal('remote_addrs = ["gw_.-example"]'), "connections.a.remote_addrs[0]", "a DNS name"),
        (minimal("local_port = 501"), "connections.a.local_port", "allowed: 500, 4500"),
        (minimal("remote_port = 70000"), "connections.a.remote_port", "from 1 to 65535"),
        (minimal('remote_port = "500"'), "connections.a.remote_port", "a whole number"),
        (minimal("version = 1"), "connections.a.version", "IKEv2 only"),
        (minimal("proposals = []"), "connections.a.proposals", "must not be empty"),
        (minimal('encap = "maybe"'), "connections.a.encap", "allowed: true, false"),
        (minimal('fragmentation = "maybe"'), "connections.a.fragmentation", '"yes", "accept", "no"'),
        (minimal("fragmentation = 1"), "connections.a.fragmentation", '"yes", "accept", "no"'),
        (minimal(rest=SECRET + "[daemon]\nfragment_size = 255"), "daemon.fragment_size", "256..65535"),
        (minimal(rest=SECRET + "[daemon]\nfragment_size = true"), "daemon.fragment_size", "256..65535"),
        (minimal('dpd_delay = "4 fortnights"'), "connections.a.dpd_delay", '"30s"'),
        (minimal("dpd_delay = -1"), "connections.a.dpd_delay", "not between 0"),
        (minimal("dpd_delay = nan"), "connections.a.dpd_delay", "not between 0"),
        (minimal("keyingtries = true"), "connections.a.keyingtries", "a whole number"),
        (minimal('name = "x"'), "connections.a.name", "the section's heading"),
        (
            minimal("children = 3").split("[connections.a.local]")[0],
            "connections.a.children",
            "must be a section",
        ),
        (minimal(local='auth = "xauth"'), "connections.a.local.auth", 'allowed: "psk"'),
        (minimal(remote='id = "C=CH, x"'), "connections.a.remote.id", "no attribute"),
        (minimal("[connections.a.local-2]"), "connections.a.local-2", 'did you mean "local2"?'),
        (
            minimal(child='start_action = "trap|start"'),
            "connections.a.children.net.start_action",
            "not supported",
        ),
        (minimal(child="tfc_padding = -1"), "connections.a.children.net.tfc_padding", '"mtu"'),
        (minimal(child='tfc_padding = "1400"'), "connections.a.children.net.tfc_padding", '"mtu"'),
        (minimal(child='mode = "beet"'), "connections.a.children.net.mode", 'allowed: "tunnel", "transport"'),
        (minimal(child="replay_window = 4097"), "connections.a.children.net.replay_window", "from 0 to 4096"),
        (
            minimal(child='local_ts = ["10.0.0.1/8"]'),
            "connections.a.children.net.local_ts[0]",
            '"10.0.0.0/8"',
        ),
        (minimal(child='name = "x"'), "connections.a.children.net.name", "the section's heading"),
        (minimal(vti='name = "much-too-long-for-a-device"'), "connections.a.vti.name", "1 to 15"),
        (minimal(vti='name = "all"'), "connections.a.vti.name", '"all" has a meaning'),
        (minimal("version = 1"), "connections.a.version", "allowed: 2 (ikepy speaks IKEv2 only"),
        (minimal(vti='name = "a/b"'), "connections.a.vti.name", "no device name"),
        (minimal(vti='addresses = ["10.0.0.1"]'), "connections.a.vti.addresses[0]", "prefix length"),
        (minimal(vti='peers = ["10.0.0.1/30"]'), "connections.a.vti.peers[0]", "not an address"),
        (
            minimal(vti='routes = ["10.0.0.1/30"]'),
            "connections.a.vti.routes[0]",
            'did you mean "10.0.0.0/30"?',
        ),
        (minimal(vti="mtu = 575"), "connections.a.vti.mtu", "from 576 to 65535"),
        (minimal(vti="table = 0"), "connections.a.vti.table", "routing table"),
        (minimal(vti='mss_clamp = "often"'), "connections.a.vti.mss_clamp", "true, false"),
        ("connections = 3", "connections", "must hold sections"),
        ("[connections]\na = 3", "connections.a", "must be a section"),
        ("daemon = 3", "daemon", "must be a section"),
        ('[connections."a b".children.c]\n' + SECRET, "connections.a b", "no name"),
        ('[connections.a.children."x y"]\n' + SECRET, "connections.a.children.x y", "no name"),
        ("[daemon]\nretransmit_base = 0.5", "daemon.retransmit_base", "from 1 to 10"),
        ("[daemon]\nretransmit_jitter = 21", "daemon.retransmit_jitter", "from 0 to 20"),
        ("[daemon]\nworkers = 0", "daemon.workers", "from 1"),
        ('[daemon]\nsocket = "x.sock"', "daemon.socket", "absolute path"),
        ('[daemon]\nlog_level = "loud"', "daemon.log_level", '"debug"'),
        ("[daemon]\nport = 4500", "daemon.port_nat_t", "another port"),
        ("[radius]", "radius.servers", "allowed: 1 to 16 servers"),
        ('[radius.servers.x]\naddress="192.0.2.1"', "radius.servers.x", "exactly one of secret"),
        ('[radius.servers.x]\nsecret="s"', "radius.servers.x.address", "is missing"),
        ("[secrets.xauth-x]\nsecret='x'", "secrets.xauth-x", "of the kind xauth"),
        ("[secrets.ntlm-x]\nsecret='x'", "secrets.ntlm-x", "an NT hash has 16 octets"),
        ("[secrets.eap-x]\nsecret='x'\nkind='ike'", "secrets.eap-x.kind", "how the section's name begins"),
        ("[secrets.other]\nsecret='x'", "secrets.other", 'begins with "ike"'),
        ("[secrets.pkcs-x]\nsecret='x'", "secrets.pkcs-x", '"pkcs8", "pkcs12" or "token"'),
    ],
)
def test_each_kind_of_mistake(text: str, key: str, part: str) -> None:
    found = problems(text)
    assert list(found) == [key]
    assert part in found[key]


def test_a_number_with_more_digits_than_python_takes() -> None:
    with pytest.raises(ConfigError, match="holds a number with too many digits"):
        parse(f"[daemon]\nport = {'9' * 5000}")


def test_syntax_error_names_the_line() -> None:
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 2"):
        parse("a = 1\nb = = 2")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("encap = False", "; TOML writes false, in small letters"),
        ("encap = True # please", "; TOML writes true, in small letters"),
        ("encap = yes", "; TOML writes true"),
        ("encap = Off", "; TOML writes false"),
        ("encap = None", "leave the key out"),
        ("id = gwa", "text stands in quotes"),
        ("flags = [true, False]", "; TOML writes false"),
        ("a: 1", "TOML writes key = value"),
        ("connections {", "not as YAML, JSON or swanctl.conf do"),
    ],
)
def test_what_other_languages_write(line: str, part: str) -> None:
    assert part in problems(f"\n[connections.a]\n{line}\n")[""]


def test_a_secret_without_quotes_is_not_repeated() -> None:
    assert "hunter" not in problems("[secrets.ike-a]\nsecret = hunter2")[""]


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file") as caught:
        load(tmp_path / "absent.toml")
    assert caught.value.file.endswith("absent.toml")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path)


def test_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "latin1.toml"
    path.write_bytes(b"# fine\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(line 2\)"):
        load(path)


def test_a_broken_section_hides_no_other(tmp_path: Path) -> None:
    text = EXAMPLE.replace('"169.254.10.1/30"', '"nonsense"') + "[secrets.ike-z]\nsecret = 5\n"
    assert set(problems(text)) == {"connections.site-b.vti.addresses[0]", "secrets.ike-z.secret"}


def test_no_complaint_about_a_missing_secret_while_secrets_are_wrong() -> None:
    text = EXAMPLE.replace('secret = "s3cr3t"', 'secret = "0xnothex"')
    assert set(problems(text)) == {"secrets.ike-site-b.secret"}


@pytest.mark.parametrize(
    "section", ["secrets.ike-a", "secrets.private-a", "secrets.token-a", "radius.servers.a"]
)
def test_what_stands_in_a_keys_place_beside_a_secret_is_not_repeated(section: str) -> None:
    found = problems(f"[{section}]\nhunter2 = 1")
    assert "unknown key" in found[section]
    assert "hunter2" not in str(found)
