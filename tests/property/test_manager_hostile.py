"""No bytes from the network make the machine raise, grow, or lose an established IKE_SA."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ikepy.sa.api.commands import Initiate, Terminate
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.constants import FIRST_EXCHANGES, ExchangeType, HeaderFlag
from ikepy.wire.message import IkeHeader, protected_prefix
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network

A_TO_B = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
PROTECTED = [exchange for exchange in ExchangeType if exchange not in FIRST_EXCHANGES]
FEW = settings(max_examples=150, deadline=None)


def recorded() -> tuple[Network, list[bytes]]:
    """An established pair, and every datagram that a sent to b: set-up, child deleted, a new child."""
    net = Network()
    sent: list[bytes] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith("a -> b"):
            sent.append(data)
        return [0.01]

    net.script = script
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.command("a", Terminate(child="net"))
    net.run(1)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    return net, sent


NET, SENT = recorded()


def established(net: Network) -> IkeSa:
    (snapshot,) = [i for i in net.b.manager.list_sas(net.now) if i.state == "ESTABLISHED"]
    sa = net.b.manager.find(snapshot.ike_id)
    assert sa is not None
    return sa


@FEW
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    NET.inject("b", A_TO_B, data)
    assert established(NET).children


@FEW
@given(st.sampled_from(SENT), st.data())
def test_bits_flipped_and_tails_cut(original: bytes, data: st.DataObject) -> None:
    mutated = bytearray(original)
    for position in data.draw(st.lists(st.integers(0, len(original) * 8 - 1), max_size=4)):
        mutated[position // 8] ^= 1 << position % 8
    cut = data.draw(st.integers(0, len(mutated)))
    if data.draw(st.booleans()):
        mutated = mutated[:cut]
        if data.draw(st.booleans()) and len(mutated) >= 28:
            mutated[24:28] = len(mutated).to_bytes(4, "big")
    before = established(NET).snapshot()
    NET.inject("b", A_TO_B, bytes(mutated))
    assert established(NET).snapshot() == before
    assert len(NET.b.manager.list_sas(NET.now)) <= 1 + 5, "the block threshold bounds what strangers hold"


@FEW
@given(
    st.sampled_from([*PROTECTED, 99]),
    st.integers(0, 255),
    st.binary(max_size=120),
)
def test_an_authenticated_peer_sends_nonsense(exchange: int, first: int, chain: bytes) -> None:
    """It gets an answer or loses its IKE_SA; nothing raises, and nothing is left behind."""
    net = Network()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (snapshot,) = net.a.manager.list_sas(net.now)
    sa = net.a.manager.find(snapshot.ike_id)
    assert sa is not None
    header = IkeHeader(sa.spi_i, sa.spi_r, exchange, HeaderFlag.INITIATOR, 2)
    cipher = sa.keys.cipher_out
    prefix = protected_prefix(header, first, cipher.body_length(len(chain)))
    effects = net.inject("b", A_TO_B, cipher.seal(prefix, chain, sa.registry.entropy.random))
    assert effects
    if net.b.manager.idle:
        assert not net.b.plane.inbound
        assert not net.b.plane.outbound
