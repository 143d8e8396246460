"""HMAC-SHA2 as a PRF, with the published vectors (RFC 4868 2.7.1 and 2.7.2)."""

import pytest

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import Prf

HI = b"Hi There"
WANT = b"what do ya want for nothing?"
LARGER = b"Test Using Larger Than Block-Size Key - Hash Key First"
LONG = (
    b"This is a test using a larger than block-size key and a larger than block-size data. "
    b"The key needs to be hashed before being used by the HMAC algorithm."
)

# AUTH512-4: the RFC prints 80 bytes of key and says 64; the output is that of the 64 bytes 01 to 40.
VECTORS = [
    (
        "PRF-1",
        Prf.HMAC_SHA2_256,
        b"\x0b" * 20,
        HI,
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        "PRF-1",
        Prf.HMAC_SHA2_384,
        b"\x0b" * 20,
        HI,
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
    ),
    (
        "PRF-1",
        Prf.HMAC_SHA2_512,
        b"\x0b" * 20,
        HI,
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    ),
    (
        "PRF-2",
        Prf.HMAC_SHA2_256,
        b"Jefe",
        WANT,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        "PRF-2",
        Prf.HMAC_SHA2_384,
        b"Jefe",
        WANT,
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
    ),
    (
        "PRF-2",
        Prf.HMAC_SHA2_512,
        b"Jefe",
        WANT,
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    ),
    (
        "PRF-3",
        Prf.HMAC_SHA2_256,
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        "PRF-3",
        Prf.HMAC_SHA2_384,
        b"\xaa" * 20,
        b"\xdd" * 50,
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
    ),
    (
        "PRF-3",
        Prf.HMAC_SHA2_512,
        b"\xaa" * 20,
        b"\xdd" * 50,
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
    ),
    (
        "PRF-4",
        Prf.HMAC_SHA2_256,
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        "PRF-4",
        Prf.HMAC_SHA2_384,
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
    ),
    (
        "PRF-4",
        Prf.HMAC_SHA2_512,
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
    ),
    (
        "PRF-5",
        Prf.HMAC_SHA2_256,
        b"\xaa" * 131,
        LARGER,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        "PRF-5",
        Prf.HMAC_SHA2_384,
        b"\xaa" * 131,
        LARGER,
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
    ),
    (
        "PRF-5",
        Prf.HMAC_SHA2_512,
        b"\xaa" * 131,
        LARGER,
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    ),
    (
        "PRF-6",
        Prf.HMAC_SHA2_256,
        b"\xaa" * 131,
        LONG,
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
    (
        "PRF-6",
        Prf.HMAC_SHA2_384,
        b"\xaa" * 131,
        LONG,
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
    ),
    (
        "PRF-6",
        Prf.HMAC_SHA2_512,
        b"\xaa" * 131,
        LONG,
        "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
    ),
    (
        "AUTH256-1",
        Prf.HMAC_SHA2_256,
        b"\x0b" * 32,
        HI,
        "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7",
    ),
    (
        "AUTH256-2",
        Prf.HMAC_SHA2_256,
        b"Jefe" * 8,
        WANT,
        "167f928588c5cc2eef8e3093caa0e87c9ff566a14794aa61648d81621a2a40c6",
    ),
    (
        "AUTH256-3",
        Prf.HMAC_SHA2_256,
        b"\xaa" * 32,
        b"\xdd" * 50,
        "cdcb1220d1ecccea91e53aba3092f962e549fe6ce9ed7fdc43191fbde45c30b0",
    ),
    (
        "AUTH256-4",
        Prf.HMAC_SHA2_256,
        bytes(range(1, 33)),
        b"\xcd" * 50,
        "372efcf9b40b35c2115b1346903d2ef42fced46f0846e7257bb156d3d7b30d3f",
    ),
    (
        "AUTH384-1",
        Prf.HMAC_SHA2_384,
        b"\x0b" * 48,
        HI,
        "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee9737a959796489bddbc4c5df61d5b3297b4fb68dab9f1b582c2",
    ),
    (
        "AUTH384-2",
        Prf.HMAC_SHA2_384,
        b"Jefe" * 12,
        WANT,
        "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184da86a368e9b8e16f5349524ca4e82400cbde0686d403371c9",
    ),
    (
        "AUTH384-3",
        Prf.HMAC_SHA2_384,
        b"\xaa" * 48,
        b"\xdd" * 50,
        "809f439be00274321d4a538652164b53554a508184a0c3160353e3428597003d35914a18770f9443987054944b7c4b4a",
    ),
    (
        "AUTH384-4",
        Prf.HMAC_SHA2_384,
        bytes(range(1, 33)) + bytes(range(10, 26)),
        b"\xcd" * 50,
        "5b540085c6e6358096532b2493609ed1cb298f774f87bb5c2ebf182c83cc7428707fb92eab2536a5812258228bc96687",
    ),
    (
        "AUTH512-1",
        Prf.HMAC_SHA2_512,
        b"\x0b" * 64,
        HI,
        "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8ac2878ebd5803f6f0b61dbce5e251ff8789a4722c1be65aea45fd464e89f8f5b",
    ),
    (
        "AUTH512-2",
        Prf.HMAC_SHA2_512,
        b"Jefe" * 16,
        WANT,
        "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b154546aa334ae9fb9afc2184932d8695e397bfa0ffb93466cfcceaae38c833b7dba38",
    ),
    (
        "AUTH512-3",
        Prf.HMAC_SHA2_512,
        b"\xaa" * 64,
        b"\xdd" * 50,
        "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8623c7b55cebefccf02d5581acc1c9d5fb1ff68a1de45509fbe4da9a433922655",
    ),
    (
        "AUTH512-4",
        Prf.HMAC_SHA2_512,
        bytes(range(1, 65)),
        b"\xcd" * 50,
        "5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108b8c48cbc6b807dcfbd850521a685babc7eae4a2a2e660dc0e86b931d65503fd2",
    ),
]


@pytest.mark.parametrize(
    ("name", "prf_id", "key", "data", "output"), VECTORS, ids=[f"{v[0]}-{v[1].name}" for v in VECTORS]
)
def test_output(name: str, prf_id: Prf, key: bytes, data: bytes, output: str) -> None:
    assert prf(prf_id).compute(Secret(key), data).hex() == output


# RFC 2202 section 3: the first three and the sixth case of HMAC-SHA-1.
@pytest.mark.parametrize(
    ("key", "data", "output"),
    [
        (b"\x0b" * 20, HI, "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe", WANT, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (b"\xaa" * 20, b"\xdd" * 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        (b"\xaa" * 80, LARGER, "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
    ],
)
def test_sha1(key: bytes, data: bytes, output: str) -> None:
    assert prf(Prf.HMAC_SHA1).compute(key, data).hex() == output
