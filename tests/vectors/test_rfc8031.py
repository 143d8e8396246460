"""Curve25519 and Curve448, with the published vectors (RFC 8031 appendix A, RFC 7748 5.2 and 6)."""

import pytest

from ikepy.wire.constants import KeGroup
from tests.key_exchanges import begin
from tests.unit.crypto.randomness import fixed

X25519, X448 = KeGroup.CURVE_25519, KeGroup.CURVE_448

# Group, private keys, public keys, shared secret.
EXCHANGES = [
    (  # RFC 8031 appendix A: the random numbers before bits are fixed
        X25519,
        "751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94",
        "0a54645253290d60ddadd0e030bacd9e5501efdc220755a1e978f1b839a05688",
        "48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766",
        "0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25",
        "c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950",
    ),
    (  # RFC 7748 6.1
        X25519,
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    ),
    (  # RFC 7748 6.2
        X448,
        "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
        "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
        "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d"
        "6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"
        "22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
        "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
        "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d",
    ),
]

# RFC 7748 5.2: group, scalar, u-coordinate, result. The second has its top bit set, which is masked.
FUNCTIONS = [
    (
        X25519,
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        X25519,
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
    (
        X448,
        "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121"
        "700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3",
        "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9"
        "814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
        "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239f"
        "e14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f",
    ),
    (
        X448,
        "203d494428b8399352665ddca42f9de8fef600908e0d461cb021f8c5"
        "38345dd77c3e4806e25f46d3315c44e0a5b4371282dd2c8d5be3095f",
        "0fbcc2f993cd56d3305b0b7d9e55d4c1a8fb5dbb52f8e9a1e9b6201b"
        "165d015894e56c4d3570bee52fe205e28a78b91cdfbde71ce8d157db",
        "884a02576239ff7a2f2f63b2db6a9ff37047ac13568e1e30fe63c4a7"
        "ad1b3ee3a5700df34321d62077e63633c575c1c954514e99da7c179d",
    ),
]


@pytest.mark.parametrize(("group", "d_i", "d_r", "pub_i", "pub_r", "secret"), EXCHANGES)
def test_exchange(group: KeGroup, d_i: str, d_r: str, pub_i: str, pub_r: str, secret: str) -> None:
    initiator = begin(group, fixed(bytes.fromhex(d_i)))
    responder = begin(group, fixed(bytes.fromhex(d_r)))
    assert initiator.public.hex() == pub_i
    assert responder.public.hex() == pub_r
    assert initiator.finish(responder.public).expose().hex() == secret
    assert responder.finish(initiator.public).expose().hex() == secret


@pytest.mark.parametrize(("group", "scalar", "u", "result"), FUNCTIONS)
def test_function(group: KeGroup, scalar: str, u: str, result: str) -> None:
    exchange = begin(group, fixed(bytes.fromhex(scalar)))
    assert exchange.finish(bytes.fromhex(u)).expose().hex() == result


def test_non_canonical_value_is_accepted() -> None:
    """RFC 8031 3.2: the top bit is masked, and 2^255 - 19 + 9 is the base point 9."""
    exchange = begin(X25519, fixed(bytes(range(32))))
    base_point = (9).to_bytes(32, "little")
    unreduced = (2**255 - 19 + 9).to_bytes(32, "little")
    with_top_bit = (2**255 + 9).to_bytes(32, "little")
    expected = exchange.finish(base_point)
    assert exchange.finish(unreduced) == expected
    assert exchange.finish(with_top_bit) == expected
