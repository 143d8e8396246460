"""A KEM in the place of Diffie-Hellman: its public values differ by role (FIPS 203)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ikepy.crypto.kex import registry
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.negotiation.proposals import describe
from ikepy.wire.constants import KeGroup, NotifyType
from ikepy.wire.message import decode_message, encode_message
from ikepy.wire.payloads import KePayload
from tests.key_exchanges import Slow

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, Script, assert_joined, duplicate, lose

KEM = registry.method(KeGroup.ML_KEM_768)
KEY_SIZE, CIPHERTEXT_SIZE = 1184, 1088  # bytes
OTHER = "aes128gcm16-prfsha256-ecp256"
SUITE = "AES_GCM_16_128/PRF_HMAC_SHA2_256/ML_KEM_768"


@dataclass(frozen=True, slots=True)
class KemOptions(Options):
    """The KEM for the IKE_SA and, as PFS, for its child."""

    proposals: str = '["aes128gcm16-prfsha256-mlkem768"]'
    esp_proposals: str = '["aes128gcm16-mlkem768"]'
    child: str = "rekey_time = 0"
    connection: str = "rekey_time = 0\n"


def connected(net: Network) -> Network:
    net.command("a", Initiate("ab", "net"))
    net.run(60)
    assert_joined(net)
    return net


def suites(net: Network) -> set[str]:
    """Of the only IKE_SA, at both ends."""
    chosen = [sa.proposal for site in (net.a, net.b) for sa in site.manager.list_sas(net.now)]
    return {describe(one) for one in chosen if one is not None}


def test_set_up() -> None:
    net = connected(Network(KemOptions()))
    assert suites(net) == {SUITE}
    assert net.ladder == [
        "a -> b IKE_SA_INIT request 0",
        "b -> a IKE_SA_INIT response 0",
        "a -> b IKE_AUTH request 1",
        "b -> a IKE_AUTH response 1",
    ]


def test_public_values_by_role() -> None:
    net = Network(KemOptions())
    sizes: list[int] = []

    def watch(line: str, nth: int, data: bytes) -> list[float]:
        if "IKE_SA_INIT" in line:
            sizes.extend(len(p.data) for p in decode_message(data).payloads if isinstance(p, KePayload))
        return [DELAY]

    net.script = watch
    connected(net)
    assert sizes == [KEY_SIZE, CIPHERTEXT_SIZE]


@pytest.mark.parametrize("by", ["a", "b"])
def test_child_rekey(by: str) -> None:
    net = connected(Network(KemOptions()))
    before = {sa.keys.expose() for sa in net.a.plane.outbound.values()}
    net.command(by, Rekey(child="net"))
    net.run(60)
    assert_joined(net)
    assert not before & {sa.keys.expose() for sa in net.a.plane.outbound.values()}
    assert not net.a.errors() + net.b.errors()


@pytest.mark.parametrize("by", ["a", "b"])
def test_ike_rekey(by: str) -> None:
    net = connected(Network(KemOptions()))
    (before,) = net.a.manager.list_sas(net.now)
    net.command(by, Rekey(ike="ab"))
    net.run(60)
    (after,) = net.a.manager.list_sas(net.now)
    assert after.spi_i != before.spi_i
    assert suites(net) == {SUITE}
    assert_joined(net)
    net.command(by, Rekey(child="net"))  # under the keys of the rekey
    net.run(60)
    assert_joined(net)
    assert not net.a.errors() + net.b.errors()


def test_crossing_rekeys() -> None:
    net = connected(Network(KemOptions()))
    for name in ("a", "b"):
        net.command(name, Rekey(child="net"))
    net.run(60)
    assert_joined(net)
    for name in ("a", "b"):
        net.command(name, Rekey(ike="ab"))
    net.run(120)
    assert_joined(net)
    assert len(suites(net)) == len(net.a.manager.list_sas(net.now)) == 1


def test_peer_asks_for_the_kem_instead() -> None:
    """INVALID_KE_PAYLOAD names it by its transform ID (RFC 7296 1.2)."""
    ours = f'["aes128gcm16-prfsha256-ecp256-mlkem768", "{OTHER}"]'
    net = connected(Network(KemOptions(proposals=ours), KemOptions()))
    assert net.ladder.count("a -> b IKE_SA_INIT request 0") == 2
    assert suites(net) == {SUITE}


def test_peer_without_the_kem() -> None:
    net = connected(Network(KemOptions(proposals=f'["aes128gcm16-prfsha256-mlkem768", "{OTHER}"]'),
                            Options(proposals=f'["{OTHER}"]', esp_proposals='["aes128gcm16"]')))  # fmt: skip
    assert suites(net) == {"AES_GCM_16_128/PRF_HMAC_SHA2_256/ECP_256"}


@pytest.mark.parametrize("seconds", [0.0, 0.3, 3.0])
@pytest.mark.parametrize(
    "script",
    [
        lose("a -> b IKE_SA_INIT request 0"),
        lose("b -> a IKE_SA_INIT response 0"),
        duplicate("a -> b IKE_SA_INIT request 0"),
        duplicate("b -> a IKE_SA_INIT response 0"),
    ],
)
def test_slow_and_disturbed(seconds: float, script: Script) -> None:
    """Computed beside all else, with losses and retransmissions: one exchange, one result."""
    with registry.registered(Slow(KEM)):
        net = Network(KemOptions())
        net.script = script
        net.thinking = lambda site, job: seconds
        connected(net)
        for command in (Rekey(child="net"), Rekey(ike="ab")):
            net.command("a", command)
            net.run(60)
            assert_joined(net)
    assert len(net.computed) == 9, "two at the initiator and one at the responder, thrice"


@pytest.mark.parametrize("size", [0, KEY_SIZE - 1, CIPHERTEXT_SIZE])
def test_initiator_value_of_a_wrong_size(size: int) -> None:
    """Refused before anything is computed (RFC 6989 2.5)."""
    net = Network(KemOptions())
    sent: list[bytes] = []

    def take(line: str, nth: int, data: bytes) -> list[float]:
        sent.append(data)
        return []

    net.script = take
    net.command("a", Initiate("ab", "net"))
    request = decode_message(sent.pop())
    payloads = [KePayload(KEM.id, p.data[:size]) if isinstance(p, KePayload) else p for p in request.payloads]
    path = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
    net.inject("b", path, encode_message(request.header, payloads))
    refusal = query.error(decode_message(sent.pop()).payloads)
    assert refusal is not None
    assert refusal.notify == NotifyType.INVALID_SYNTAX
    assert not net.b.manager.list_sas(net.now)
    assert not net.computed
