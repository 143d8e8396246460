"""AlgorithmIdentifiers of RFC 7427 appendix A, RFC 8410 and RFC 9881, and the AUTH payload of appendix B."""

from __future__ import annotations

import pytest

from ikepy.crypto.algorithm_ids import MOST_SALT, Algorithm, decoded, encoded
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.sa.auth.signed_auth import Way, auth_payload
from ikepy.wire.constants import AuthMethod

APPENDIX_A = {
    Scheme.RSA_SHA1: "300d 0609 2a86 4886 f70d 0101 0505 00",  # A.1.1
    Scheme.RSA_SHA256: "300d 0609 2a86 4886 f70d 0101 0b05 00",  # A.1.2
    Scheme.RSA_SHA384: "300d 0609 2a86 4886 f70d 0101 0c05 00",
    Scheme.RSA_SHA512: "300d 0609 2a86 4886 f70d 0101 0d05 00",
    Scheme.ECDSA_SHA256: "300a 0608 2a86 48ce 3d04 0302",  # A.3.2
    Scheme.ECDSA_SHA384: "300a 0608 2a86 48ce 3d04 0303",
    Scheme.ECDSA_SHA512: "300a 0608 2a86 48ce 3d04 0304",
    Scheme.PSS_SHA256: (  # A.4.3
        "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304 0201 0500"
        "a11c 301a 0609 2a86 4886 f70d 0101 0830 0d06 0960 8648 0165 0304 0201 0500 a203"
        "0201 20a3 0302 0101"
    ),
    Scheme.ED25519: "3005 0603 2b65 70",  # RFC 8420 A, RFC 8410
    Scheme.ED448: "3005 0603 2b65 71",
    Scheme.ML_DSA_44: "300b 0609 6086 4801 6503 0403 11",  # RFC 9881 2
    Scheme.ML_DSA_65: "300b 0609 6086 4801 6503 0403 12",
    Scheme.ML_DSA_87: "300b 0609 6086 4801 6503 0403 13",
}
PSS = bytes.fromhex(APPENDIX_A[Scheme.PSS_SHA256])
PSS_EMPTY = "300d 0609 2a86 4886 f70d 0101 0a30 00"  # A.4.1: SHA-1
PSS_DEFAULT = (  # A.4.2: SHA-1
    "303e 0609 2a86 4886 f70d 0101 0a30 31a0 0b30 0906 052b 0e03 021a 0500 a118 3016"
    "0609 2a86 4886 f70d 0101 0830 0906 052b 0e03 021a 0500 a203 0201 14a3 0302 0101"
)


@pytest.mark.parametrize("scheme", APPENDIX_A)
def test_each_identifier(scheme: Scheme) -> None:
    der = bytes.fromhex(APPENDIX_A[scheme])
    assert encoded(scheme) == der
    assert decoded(der) == Algorithm(scheme, 32 if scheme is Scheme.PSS_SHA256 else 0)


@pytest.mark.parametrize("scheme", Scheme)
def test_ours_mean_what_they_say(scheme: Scheme) -> None:
    found = decoded(encoded(scheme))
    assert found is not None
    assert found.scheme is scheme


@pytest.mark.parametrize(
    ("der", "scheme"),
    [
        ("300b 0609 2a86 4886 f70d 0101 0b", Scheme.RSA_SHA256),  # NULL left out
        ("300c 0608 2a86 48ce 3d04 0302 0500", Scheme.ECDSA_SHA256),  # NULL, though none belongs there
        ("3007 0603 2b65 7005 00", Scheme.ED25519),
    ],
)
def test_parameters_that_mean_the_same(der: str, scheme: Scheme) -> None:
    assert decoded(bytes.fromhex(der)) == Algorithm(scheme)


def test_pss_without_nulls_and_trailer() -> None:
    """What DER and RFC 4055 2.1 permit as well."""
    without = (
        "303d 0609 2a86 4886 f70d 0101 0a30 30"
        "a00d 300b 0609 6086 4801 6503 0402 01"
        "a11a 3018 0609 2a86 4886 f70d 0101 0830 0b06 0960 8648 0165 0304 0201"
        "a203 0201 20"
    )
    assert decoded(bytes.fromhex(without)) == Algorithm(Scheme.PSS_SHA256, 32)


@pytest.mark.parametrize("salt", [0, 20, 48, MOST_SALT])
def test_pss_with_another_salt(salt: int) -> None:
    assert decoded(PSS[:-6] + bytes([salt]) + PSS[-5:]) == Algorithm(Scheme.PSS_SHA256, salt)


def test_absurd_parameters_of_pss() -> None:
    assert decoded(bytes.fromhex(PSS_EMPTY)) is None
    assert decoded(bytes.fromhex(PSS_DEFAULT)) is None
    for salt in (MOST_SALT + 1, 127, 128, 255):
        assert decoded(PSS[:-6] + bytes([salt]) + PSS[-5:]) is None
    assert decoded(PSS[:-1] + b"\2") is None  # another trailer
    assert (
        decoded(PSS.replace(bytes.fromhex("0402010500a203"), bytes.fromhex("0402020500a203"))) is None
    )  # MGF1
    for cut in range(len(PSS)):
        assert decoded(PSS[:cut]) is None
        assert decoded(PSS[:cut] + b"\xff" + PSS[cut + 1 :]) in (None, Algorithm(Scheme.PSS_SHA256, 32))
    assert decoded(PSS + b"\0") is None


def test_the_beginning_of_auth() -> None:
    """Appendix B.1, behind the generic header."""
    way = Way(AuthMethod.DIGITAL_SIGNATURE, Scheme.RSA_SHA1)
    auth = auth_payload(way, KeyFacts(KeyKind.RSA, 2048), b"signature")
    begins = bytes.fromhex("0e00 0000 0f30 0d06 092a 8648 86f7 0d01 0105 0500")
    assert auth.encode() == begins + b"signature"
