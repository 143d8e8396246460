"""IKEv2 key derivation: a vector of NIST's CAVP, component "IKEv2 KDF", SHA-1 (SP 800-135 test suite)."""

from ikepy.crypto.key_schedule import IkeKeys, IkeSuite, KeySchedule, Seed
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import Encr, Prf

GIR = Secret(bytes.fromhex("4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52"))
GIR_NEW = Secret(bytes.fromhex("863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330"))
NI = bytes.fromhex("32b50d5f4a3763f3")
NR = bytes.fromhex("9206a04b26564cb1")
SPI_I = bytes.fromhex("34c9e7c188868785")
SPI_R = bytes.fromhex("3ff77d760d2b2199")
SKEYSEED = bytes.fromhex("a9a7b222b59f8f48645f28a1db5b5f5d7479cba7")
DKM = bytes.fromhex(
    "a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002a2a63080e514a062768b76606f9fa5e9"
    "92204fc5a670bde3f10d6b027113936a5c55b648a194ae587b0088d52204b702c979fa280870d2ed41efa9c549fd1119"
    "8af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a81157435a7a56cc4"
)
DKM_CHILD = bytes.fromhex(
    "8059e3ee8810e6c3a91bc8bcd2a7a41151b8d0e6ae239c7b38093ad85ef4c5811a8e7b5d1cdabd9560b2d5e092d1f24e"
    "2d4b85eccdf0ad0dc9abd94b51ee71814ca6dbc8bb51b6309f5b9545c7eb35cf5580b1e521a8fe20754a2d883ba0c2cf"
    "285f524aea6545b33106bc03e614296d319d41d4b50b3f510b1c0a22f3e664994d234cb4"
)
DKM_CHILD_DH = bytes.fromhex(
    "bb43244c1860ad65ee1e211ffe8bb3661750c8f89cb9f547df7f4fa61d37301628190e38c66232eab4b3ab14c400a519"
    "7dd3730ed4820a8a10394d51e1c0400052f63ebd36b0e7ef53aaed31eba4a5080d7d4b5666023a8bbb5ffb7857240f9a"
    "05884d1b7d2f933708450b7b3288f1fc863ab49fa901227cffc06e27899c7054d56fd74c"
)
SKEYSEED_REKEY = bytes.fromhex("63e81194946ebd05df7df5ebf5d8750056bf1f1d")

# Three keys of 20 bytes and two of 36 are the 132 bytes of the vector.
SUITE = IkeSuite(Encr.AES_GCM_16, 256, Prf.HMAC_SHA1, None)
SEED = Seed(NI, NR, SPI_I, SPI_R)
SCHEDULE = KeySchedule(SUITE, IkeKeys(Secret(DKM[:20]), *(Secret(b"") for _ in range(6))))


def test_ike_keys() -> None:
    keys = KeySchedule.initial(SUITE, GIR, SEED).keys
    order = (keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er, keys.sk_pi, keys.sk_pr)
    assert [len(key) for key in order] == [20, 0, 0, 36, 36, 20, 20]
    assert Secret.join(*order).expose() == DKM


def test_skeyseed_and_prf_plus() -> None:
    assert prf(Prf.HMAC_SHA1).compute(NI + NR, GIR.expose()) == SKEYSEED
    assert prf(Prf.HMAC_SHA1).plus(SKEYSEED, NI + NR + SPI_I + SPI_R, 132).expose() == DKM


def test_child_keys() -> None:
    to_responder, to_initiator = SCHEDULE.child_keys(NI, NR, (), 66)
    assert to_responder.expose() == DKM_CHILD[:66]
    assert to_initiator.expose() == DKM_CHILD[66:]


def test_child_keys_with_key_exchange() -> None:
    pair = SCHEDULE.child_keys(NI, NR, (GIR_NEW,), 66)
    assert Secret.join(*pair).expose() == DKM_CHILD_DH


def test_rekeyed_ike_keys() -> None:
    keys = SCHEDULE.rekeyed(SUITE, (GIR_NEW,), SEED).keys
    expected = prf(Prf.HMAC_SHA1).plus(SKEYSEED_REKEY, NI + NR + SPI_I + SPI_R, 132)
    assert keys.sk_d.expose() == expected.expose()[:20]
    assert keys.sk_pr.expose() == expected.expose()[112:]
