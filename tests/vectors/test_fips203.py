"""ML-KEM as the initiator has it, by published vectors (FIPS 203).

`mlkem.json`: "keyGen" has the first cases of NIST's ACVP-Server v1.1.0.35,
gen-val/json-files/ML-KEM-keyGen-FIPS203/internalProjection.json, the encapsulation key as its SHA-256.
"decapsulation" has ciphertexts made by kyber-py 1.2.0, an implementation in pure Python that is checked with
NIST's encapsulation and decapsulation cases, for the first of those keys; the randomness m is SHA-256("m").
`k_of_changed`: the secret if bit 0 of octet 7 of the ciphertext is flipped (implicit rejection).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import KeGroup

VECTORS = json.loads(Path(__file__).with_name("mlkem.json").read_text())
GROUPS = {"ML-KEM-768": KeGroup.ML_KEM_768, "ML-KEM-1024": KeGroup.ML_KEM_1024}


def name(case: dict[str, str]) -> str:
    return f"{case['parameterSet']}-{case['tcId']}"


def begun(case: dict[str, str]) -> Begun:
    seed = bytes.fromhex(case["d"] + case["z"])
    return registry.method(GROUPS[case["parameterSet"]]).begin(lambda size: seed[:size])()


@pytest.mark.parametrize("case", VECTORS["keyGen"], ids=name)
def test_encapsulation_key(case: dict[str, str]) -> None:
    assert hashlib.sha256(begun(case).public).hexdigest() == case["ek_sha256"]


@pytest.mark.parametrize("case", VECTORS["decapsulation"], ids=name)
def test_decapsulation(case: dict[str, str]) -> None:
    ciphertext = bytearray.fromhex(case["c"])
    assert begun(case).finish(bytes(ciphertext)) == Secret(bytes.fromhex(case["k"]))
    ciphertext[7] ^= 1
    assert begun(case).finish(bytes(ciphertext)) == Secret(bytes.fromhex(case["k_of_changed"]))
