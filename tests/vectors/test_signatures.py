"""The signatures of RFC 4754 8 and of RFC 8032 7, verified as the AUTH of a peer that signed by them."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ikepy.crypto import signatures
from ikepy.crypto.schemes import Scheme
from ikepy.sa.auth.signed_auth import Way, Wrong, auth_payload, check
from ikepy.wire.constants import AuthMethod
from ikepy.wire.payloads import AuthPayload
from ikepy.wire.reader import Reader


class Ecdsa(NamedTuple):
    """A public key, and AUTH with its generic header, in hexadecimal digits."""

    curve: ec.EllipticCurve
    scheme: Scheme
    gwx: str
    gwy: str
    payload: str


RFC4754 = [
    Ecdsa(  # 8.1
        ec.SECP256R1(),
        Scheme.ECDSA_SHA256,
        gwx="2442A5CC 0ECD015F A3CA31DC 8E2BBC70 BF42D60C BCA20085 E0822CB0 4235E970",
        gwy="6FC98BD7 E50211A4 A27102FA 3549DF79 EBCB4BF2 46B80945 CDDFE7D5 09BBFD7D",
        payload=(
            "00000048 00090000 CB28E099 9B9C7715 FD0A80D8 E47A7707 9716CBBF 917DD72E"
            "97566EA1 C066957C 86FA3BB4 E26CAD5B F90B7F81 899256CE 7594BB1E A0C89212"
            "748BFF3B 3D5B0315"
        ),
    ),
    Ecdsa(  # 8.2
        ec.SECP384R1(),
        Scheme.ECDSA_SHA384,
        gwx=(
            "96281BF8 DD5E0525 CA049C04 8D345D30 82968D10 FEDF5C5A CA0C64E6 465A97EA"
            "5CE10C9D FEC21797 41571072 1F437922"
        ),
        gwy=(
            "447688BA 94708EB6 E2E4D59F 6AB6D7ED FF9301D2 49FE49C3 3096655F 5D502FAD"
            "3D383B91 C5E7EDAA 2B714CC9 9D5743CA"
        ),
        payload=(
            "00000068 000A0000 FB017B91 4E291494 32D8BAC2 9A514640 B46F53DD AB2C6994"
            "8084E293 0F1C8F7E 08E07C9C 63F2D21A 07DCB56A 6AF56EB3 B263A130 5E057F98"
            "4D38726A 1B468741 09F417BC A112674C 528262A4 0A629AF1 CBB9F516 CE0FA7D2"
            "FF630863 A00E8B9F"
        ),
    ),
    Ecdsa(  # 8.3
        ec.SECP521R1(),
        Scheme.ECDSA_SHA512,
        gwx=(
            "0151518F 1AF0F563 517EDD54 85190DF9 5A4BF57B 5CBA4CF2 A9A3F647 4725A35F"
            "7AFE0A6D DEB8BEDB CD6A197E 592D4018 8901CECD 650699C9 B5E456AE A5ADD190"
            "52A8"
        ),
        gwy=(
            "006F3B14 2EA1BFFF 7E2837AD 44C9E4FF 6D2D34C7 3184BBAD 90026DD5 E6E85317"
            "D9DF45CA D7803C6C 20035B2F 3FF63AFF 4E1BA64D 1C077577 DA3F4286 C58F0AEA"
            "E643"
        ),
        payload=(
            "0000008C 000B0000 0154FD38 36AF92D0 DCA57DD5 341D3053 988534FD E8318FC6"
            "AAAAB68E 2E6F4339 B19F2F28 1A7E0B22 C269D93C F8794A92 78880ED7 DBB8D936"
            "2CAEACEE 54432055 22510177 05A70302 90D1CEB6 05A9A1BB 03FF9CDD 521E87A6"
            "96EC926C 8C10C836 2DF49753 67101F67 D1CF9BCC BF2F3D23 9534FA50 9E70AAC8"
            "51AE01AA C68D62F8 66472660"
        ),
    ),
]


@pytest.mark.parametrize("vector", RFC4754, ids=lambda vector: vector.scheme.value)
def test_ecdsa(vector: Ecdsa) -> None:
    numbers = ec.EllipticCurvePublicNumbers(
        int(vector.gwx.replace(" ", ""), 16), int(vector.gwy.replace(" ", ""), 16), vector.curve
    )
    key = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    payload = bytes.fromhex(vector.payload)
    assert int.from_bytes(payload[2:4], "big") == len(payload)
    # The RFC prints the method one octet late: it is AUTH's first (RFC 7296 3.8).
    auth = AuthPayload.decode(Reader(payload[5:6] + payload[4:5] + payload[6:]))
    assert check(auth, key, b"abc", (), experimental=False) is vector.scheme
    assert isinstance(check(auth, key, b"abd", (), experimental=False), Wrong)
    facts = signatures.facts(key)
    der = signatures.der_ecdsa(auth.data, facts.bits)
    assert der is not None
    assert auth_payload(Way(AuthMethod(auth.method), vector.scheme), facts, der) == auth


class Eddsa(NamedTuple):
    """What RFC 8032 prints of each, in hexadecimal digits."""

    scheme: Scheme
    secret: str
    public: str
    message: str
    signature: str


RFC8032 = [
    Eddsa(  # 7.1, test 3
        Scheme.ED25519,
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    Eddsa(  # 7.4, 1 octet
        Scheme.ED448,
        "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
        "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
        "03",
        "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779"
        "805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c0"
        "3a00",
    ),
]


@pytest.mark.parametrize("vector", RFC8032, ids=lambda vector: vector.scheme.value)
def test_eddsa(vector: Eddsa) -> None:
    """In a Digital Signature, without a hash of its own (RFC 8420 2)."""
    kind = ed25519.Ed25519PrivateKey if vector.scheme is Scheme.ED25519 else ed448.Ed448PrivateKey
    private = kind.from_private_bytes(bytes.fromhex(vector.secret))
    public = private.public_key()
    assert public.public_bytes(Encoding.Raw, PublicFormat.Raw).hex() == vector.public
    message = bytes.fromhex(vector.message)
    signature = signatures.sign(private, vector.scheme, message)
    assert signature.hex() == vector.signature
    key = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    auth = auth_payload(Way(AuthMethod.DIGITAL_SIGNATURE, vector.scheme), signatures.facts(key), signature)
    assert check(auth, key, message, (), experimental=False) is vector.scheme
    assert isinstance(check(auth, key, message + b"\0", (), experimental=False), Wrong)
