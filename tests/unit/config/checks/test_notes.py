"""What is hardly meant: lifetimes, selectors and routes that `check` finds; words that people mean."""

import pytest

from ikepy.config.proposals import parse as proposal
from ikepy.config.toml_source import parse
from ikepy.wire.constants import ProtocolId
from tests.unit.config.example import minimal, problems, remarks

STRONG = '[secrets.ike-a]\nsecret = "LzU0vX3nRkq9TfWm7cYh"\n'
CHILD = "connections.a.children.net"


def noted(connection: str = "", child: str = "", vti: str = "") -> dict[str, str]:
    return remarks(minimal(connection, child, vti=vti, rest=STRONG))


def two(child: str, other: str, *, vti: str = "", others_vti: str = "") -> dict[str, str]:
    first = minimal(child=child, vti=vti, rest=STRONG)
    return remarks(first + minimal(child=other, name="b", vti=others_vti, rest=""))


def test_nothing_is_remarkable_about_defaults() -> None:
    assert not noted()


@pytest.mark.parametrize(
    ("child", "key", "part"),
    [
        ("rekey_time = 100\nlife_time = 99", "life_time", "before rekey_time (100) replaces it"),
        ("rekey_time = 100\nlife_time = 100", "life_time", "traffic stops"),
        ("life_time = '30m'", "life_time", "before rekey_time (3600)"),
        ("rekey_bytes = 2000\nlife_bytes = 1000", "life_bytes", "before rekey_bytes (2000)"),
        ("rekey_packets = 20\nlife_packets = 10", "life_packets", "before rekey_packets (20)"),
        ("rekey_time = 100\nrand_time = 101", "rekey_time", "take rand_time below 100"),
        ("rekey_time = 100\nlife_time = 201", "rekey_time", "life_time is so large"),
        ("rekey_bytes = 100\nrand_bytes = 101", "rekey_bytes", "take rand_bytes below 100"),
    ],
)
def test_lifetimes_of_a_child(child: str, key: str, part: str) -> None:
    found = noted(child=child)
    assert list(found) == [f"{CHILD}.{key}"]
    assert part in found[f"{CHILD}.{key}"]


@pytest.mark.parametrize(
    "child",
    [
        "rekey_time = 100\nlife_time = 101",
        "rekey_time = 0\nlife_time = 10",
        "rekey_time = 100\nlife_time = 0",
        "rekey_time = 100\nlife_time = 200",
        "rekey_time = 100\nlife_time = 300\nrand_time = 10",
        "rekey_bytes = 0\nlife_bytes = 10",
        "rekey_bytes = 1000",
    ],
)
def test_lifetimes_that_leave_room(child: str) -> None:
    assert not noted(child=child)


@pytest.mark.parametrize(
    ("connection", "key", "part"),
    [
        ("rekey_time = 100\nrand_time = 101", "rekey_time", "rand_time is longer"),
        ("rekey_time = 100\nover_time = 101", "rekey_time", "rand_time (absent: over_time) is longer"),
        ("rekey_time = 0\nreauth_time = 100\nover_time = 101", "reauth_time", "below 100 seconds"),
        ("reauth_time = 100", "reauth_time", "(absent: over_time)"),  # a tenth of rekey_time's four hours
    ],
)
def test_lifetimes_of_an_ike_sa(connection: str, key: str, part: str) -> None:
    found = noted(connection)
    assert list(found) == [f"connections.a.{key}"]
    assert part in found[f"connections.a.{key}"]
    assert not noted("rekey_time = 100\nover_time = 100")


def test_the_peers_address_is_not_ours() -> None:
    both = 'local_addrs = ["192.0.2.1", "fd00::1"]\nremote_addrs = ["192.0.2.2", "fd00::1"]'
    found = problems(minimal(both))
    assert list(found) == ["connections.a.remote_addrs[1]"]
    assert "our own address" in found["connections.a.remote_addrs[1]"]
    assert not problems(minimal(both + "\nremote_port = 1500")), "another daemon on this machine"
    assert not problems(minimal('local_addrs = ["192.0.2.0/24"]\nremote_addrs = ["192.0.2.0/24"]'))


ADDRESSES = 'local_addrs = ["192.0.2.1"]\nremote_addrs = ["192.0.2.2"]'


@pytest.mark.parametrize(
    ("connection", "child", "wrong"),
    [
        ("", 'local_ts = ["10.0.0.0/8"]\nremote_ts = ["fd00::/8"]', True),
        ("", 'local_ts = ["::/0"]\nremote_ts = ["0.0.0.0/0"]', True),
        ("", 'local_ts = ["10.0.0.0/8", "fd00::/8"]\nremote_ts = ["fd01::/16"]', False),
        (ADDRESSES, 'remote_ts = ["fd00::/8"]', True),
        (ADDRESSES, 'local_ts = ["fd00::/8"]', True),
        (ADDRESSES, 'local_ts = ["fd00::/8", "dynamic"]', False),
        ('remote_addrs = ["192.0.2.0/24", "fd00::2"]', 'local_ts = ["fd00::/8"]', False),
        ("", 'remote_ts = ["fd00::/8"]', False),
    ],
)
def test_selectors_of_one_family_on_each_side(connection: str, child: str, wrong: bool) -> None:
    found = problems(minimal(connection, child))
    assert list(found) == ([f"{CHILD}.remote_ts"] if wrong else [])
    assert not wrong or "no packet fits both" in found[f"{CHILD}.remote_ts"]


def test_the_same_selectors_twice() -> None:
    narrow = 'local_ts = ["10.1.0.0/16", "10.3.0.0/16"]\nremote_ts = ["10.2.0.0/16"]'
    turned = 'local_ts = ["10.3.0.0/16", "10.1.0.0/16"]\nremote_ts = ["10.2.0.0/16"]'
    found = two(narrow, turned)
    assert list(found) == ["connections.b.children.net.remote_ts"]
    assert (
        "connections.a.children.net has the same selectors" in found["connections.b.children.net.remote_ts"]
    )
    assert not two(narrow, narrow.replace("10.2", "10.4"))
    assert not two(narrow, narrow, others_vti="table = 7")
    assert not two('remote_ts = ["0.0.0.0/0"]', 'remote_ts = ["0.0.0.0/0"]'), "routes decide there"
    assert not two("", ""), "of their addresses"


def test_two_children_of_one_connection_may_be_alike() -> None:
    child = '[connections.a.children.two]\nremote_ts = ["10.2.0.0/16"]\n'
    assert not remarks(minimal(child='remote_ts = ["10.2.0.0/16"]', rest=child + STRONG))


@pytest.mark.parametrize(
    ("child", "vti", "where"),
    [
        ("", 'routes = ["10.2.0.0/16", "192.0.2.0/24"]\ntable = 7', "vti.routes[1]"),
        ("", 'routes = ["0.0.0.0/0"]\ntable = 7', "vti.routes[0]"),
        ("", 'routes = ["192.0.2.2/32"]\ntable = 7', "vti.routes[0]"),
        ("", 'routes = ["0.0.0.0/0", "192.0.2.0/24"]', ""),  # the address is left out of the route
        ("", 'routes = ["0.0.0.0/0", "192.0.2.0/24"]\ntable = 254', ""),
        ("", 'addresses = ["192.0.2.9/24"]', "vti.addresses[0]"),
        ('remote_ts = ["10.0.0.0/8", "192.0.2.0-192.0.2.2"]', "table = 7", "children.net.remote_ts[1]"),
        ('remote_ts = ["192.0.2.0/24"]', 'routes = ["10.2.0.0/16"]', ""),
        ('remote_ts = ["0.0.0.0/0"]', "", ""),  # no route is made of it
        ('remote_ts = ["192.0.2.3-192.0.2.9"]', "", ""),
        ("", 'routes = ["192.0.3.0/24", "::/0"]', ""),
    ],
)
def test_routes_that_cover_the_peer(child: str, vti: str, where: str) -> None:
    found = noted(ADDRESSES, child, vti)
    assert list(found) == ([f"connections.a.{where}"] if where else [])
    assert not where or "covers the peer's own address 192.0.2.2" in found[f"connections.a.{where}"]


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        (minimal('remote_addr = ["192.0.2.2"]'), "connections.a.remote_addr", 'did you mean "remote_addrs"?'),
        (minimal('local_addr = ["192.0.2.2"]'), "connections.a.local_addr", 'did you mean "local_addrs"?'),
        (minimal('remote_address = "x"'), "connections.a.remote_address", 'did you mean "remote_addrs"?'),
        (minimal("remote_prot = 500"), "connections.a.remote_prot", 'did you mean "remote_port"?'),
        (minimal('remote_id = "x"'), "connections.a.remote_id", 'did you mean "id" in the section remote?'),
        (minimal('right = "192.0.2.2"'), "connections.a.right", 'did you mean "remote_addrs"?'),
        (minimal('local_ts = ["::/0"]'), "connections.a.local_ts", 'did you mean "local_ts" of a child?'),
        (minimal(child="lifetime = 3600"), f"{CHILD}.lifetime", 'did you mean "life_time"?'),
        (minimal("[connections.a.remote-2]"), "connections.a.remote-2", 'did you mean "remote2"?'),
        (minimal("[connections.a.local_eap]"), "connections.a.local_eap", "several rounds"),
        (minimal("[connections.a.remote1]"), "connections.a.remote1", 'did you mean "remote"?'),
        ("[secrets.ike-a]\nsecret = 'x'\npsk = 'x'", "secrets.ike-a", 'did you mean "secret"?'),
    ],
)
def test_keys_that_people_mean(text: str, key: str, part: str) -> None:
    found = problems(text)
    assert list(found) == [key]
    assert part in found[key]


@pytest.mark.parametrize(
    ("word", "meant", "protocol"),
    [
        ("aes256-gcm", "aes256gcm16", ProtocolId.IKE),
        ("aesgcm", "aes256gcm16", ProtocolId.ESP),
        ("aes256-sha256-dh14", "modp2048", ProtocolId.IKE),
        ("aes256-sha256-group19", "ecp256", ProtocolId.ESP),
        ("aes256-sha256-p384", "ecp384", ProtocolId.IKE),
        ("chacha20", "chacha20poly1305", ProtocolId.ESP),
        ("aes128gcm16-nopfs", "modpnone", ProtocolId.ESP),
        ("aes128gmc16", "aes128gcm16", ProtocolId.ESP),
    ],
)
def test_algorithms_that_people_mean(word: str, meant: str, protocol: ProtocolId) -> None:
    with pytest.raises(ValueError, match=f'did you mean "{meant}"'):
        proposal(word, protocol)


def test_a_second_word_for_gcm_and_for_no_group() -> None:
    config = parse(
        minimal('proposals = ["aes256gcm-prfsha256-x25519"]', 'esp_proposals = ["aes256gcm-none"]')
    )
    connection = config.connections["a"]
    assert connection.proposals == proposal("aes256gcm16-prfsha256-x25519", ProtocolId.IKE)
    assert connection.children["net"].esp_proposals == proposal("aes256gcm16-modpnone", ProtocolId.ESP)


@pytest.mark.parametrize(
    ("connection", "child", "key", "word"),
    [
        (
            "",
            'esp_proposals = ["aes128-sha256", "aes128gcm16-prfsha256-x25519"]',
            "esp_proposals[1]",
            "prfsha256",
        ),
        ("", 'esp_proposals = "aes128gcm16-sha256"', "esp_proposals[0]", "sha256"),
        ('proposals = ["aes128gcm16-sha384-prfsha256-x25519"]', "", "proposals[0]", "sha384"),
    ],
)
def test_algorithms_that_say_nothing(connection: str, child: str, key: str, word: str) -> None:
    """charon takes them, too, and ignores them."""
    found = noted(connection, child)
    ((path, text),) = found.items()
    assert path == (f"{CHILD}.{key}" if child else f"connections.a.{key}")
    assert text.startswith(f'"{word}" has no effect')


def test_the_integrity_algorithm_that_an_ike_proposals_prf_comes_from() -> None:
    assert not noted('proposals = ["aes128gcm16-sha256-x25519", "aes128-sha256-prfsha384-x25519"]')


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("3des-sha1-modp2048", "3des has blocks of 64 bits"),
        ("aes128-sha256-modp1024", "modp1024 is within reach"),
        ("aes128-sha256-x25519-modp1536", "modp1536 is within reach"),
    ],
)
def test_weak_algorithms_of_ike(word: str, part: str) -> None:
    found = noted(connection=f'proposals = ["aes256gcm16-prfsha256-x25519", "{word}"]')
    assert list(found) == ["connections.a.proposals"]
    assert part in found["connections.a.proposals"]


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("3des-sha256", "3des has blocks of 64 bits"),
        ("null-sha256", "null encrypts nothing"),
        ("aes256gmac", "aes256gmac encrypts nothing"),
        ("aes256gcm16-modp1024", "modp1024 is within reach"),
    ],
)
def test_weak_algorithms_of_a_child(word: str, part: str) -> None:
    found = noted(child=f'esp_proposals = ["{word}"]')
    assert list(found) == [f"{CHILD}.esp_proposals"]
    assert part in found[f"{CHILD}.esp_proposals"]


def test_a_first_key_exchange_that_ikev2_can_not_fragment() -> None:
    found = noted(connection='proposals = ["aes256gcm16-prfsha256-mlkem1024-x25519"]')
    assert "mlkem1024 as the first key exchange" in found["connections.a.proposals"]
    assert not noted(connection='proposals = ["aes256gcm16-prfsha256-x25519-ke1_mlkem768"]')
    assert not noted(child='esp_proposals = ["aes256gcm16-mlkem768"]')


def test_old_peers_algorithms_are_not_weak() -> None:
    assert not noted(
        connection='proposals = ["aes128-sha1-modp2048"]', child='esp_proposals = ["aes128-sha1"]'
    )


PEER = 'remote_addrs = ["192.0.2.1"]'


@pytest.mark.parametrize(
    ("connection", "remote", "told"),
    [
        (PEER, 'auth = "pubkey"', True),
        ('remote_addrs = ["gw.example.org"]', 'auth = "pubkey"', True),
        (PEER, 'auth = "pubkey"\nid = "gw.example.org"', False),
        (PEER, 'auth = "psk"', False),
        ("", 'auth = "pubkey"', False),  # anybody of a CA may come to a gateway
    ],
)
def test_a_gateway_that_any_certificate_proves(connection: str, remote: str, told: bool) -> None:
    found = remarks(minimal(connection, remote=remote, rest=STRONG))
    assert ("connections.a.remote.id" in found) is told


def test_users_at_a_gateway_that_only_a_secret_proves() -> None:
    found = remarks(minimal(remote='auth = "eap-md5"'))
    assert "can pretend to be it" in found["connections.a.local.auth"]
    assert "it is for labs" in found["connections.a.remote.auth"]


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ("eap-tls", "eap-tls", False),
        ("eap-dynamic", "eap-tls", False),
        ("eap-mschapv2", "eap-mschapv2", True),
        ("eap-tls", "eap-md5", True),
        ("eap-mschapv2", "pubkey", False),
    ],
)
def test_eap_on_both_sides(ours: str, theirs: str, told: bool) -> None:
    found = remarks(minimal(local=f'auth = "{ours}"', remote=f'auth = "{theirs}"', rest=STRONG))
    assert ("RFC 5998" in found.get("connections.a.local.auth", "")) is told


@pytest.mark.parametrize("action", ["none", "trap", "start"])
@pytest.mark.parametrize("ours", ["pubkey", "eap-tls"])
def test_a_responder_is_not_asked_by_eap(ours: str, action: str) -> None:
    text = minimal(
        PEER, f'start_action = "{action}"', local=f'auth = "{ours}"', remote='auth = "eap-tls"', rest=STRONG
    )
    told = "RFC 7296 2.16" in remarks(text).get("connections.a.remote.auth", "")
    assert told is (ours == "pubkey" and action != "none")


def test_a_key_log_is_warned_of() -> None:
    found = remarks(minimal(rest=f'{STRONG}[daemon]\nkeylog_dir = "/root/keys"\n'))
    assert "ALL KEYS of IKE and ESP are written to /root/keys" in found["daemon.keylog_dir"]


@pytest.mark.parametrize(
    ("remote", "told"),
    [
        ('["192.0.2.2"]', False),
        ('["gw.example.org"]', False),
        ('"%any"', True),
        ('["192.0.2.0/24"]', True),
        ('["192.0.2.2", "%any"]', True),
    ],
)
def test_transport_mode_with_peers_of_unknown_address(remote: str, told: bool) -> None:
    gre = 'mode = "transport"\nlocal_ts = ["0.0.0.0/0[gre]"]\nremote_ts = ["0.0.0.0/0[gre]"]'
    found = noted(f"remote_addrs = {remote}", gre)
    assert list(found) == ["connections.a.remote_addrs"] * told
    assert not told or "in the clear" in found["connections.a.remote_addrs"]
