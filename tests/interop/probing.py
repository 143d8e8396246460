"""The conformance cases of `ikepy.probe` against a gateway: the probe on the left, the gateway on the right.

left (probe) ==== right (under test) -- right_host, which answers echo requests
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from ikepy.config.identity import Identity
from ikepy.crypto import private_keys
from ikepy.crypto.secret import Secret
from ikepy.lab import pair
from ikepy.lab.pair import Pair
from ikepy.pki import certificates
from ikepy.pki.certificates import Contents
from ikepy.probe import peer_config, registry, runner, sets
from ikepy.probe.credentials import Credentials
from ikepy.probe.runner import Result
from ikepy.probe.target import Encapsulation, Limits, Target
from ikepy.probe.verdict import Verdict
from tests.pki import Entity, chain, make_key

SECRET = "0xabadcafeabadcafeabadcafeabadcafe"  # the specification's (SGW.R.1.1.10.4)
PROBE = "tn1.example.com"  # by certificate
LIMITS = Limits(response_s=3.0, retransmit_s=1.0, quiet_s=0.5, interval_s=0.0, case_s=30.0)


@dataclass(frozen=True, slots=True)
class Family:
    """Addresses of one IP version: the probe's and the gateway's, and the networks and hosts behind."""

    left: str
    right: str
    left_net: str
    right_net: str
    left_host: str
    right_host: str


IPV4 = Family(pair.LEFT, pair.RIGHT, pair.LEFT_NET, pair.RIGHT_NET, pair.LEFT_HOST, pair.RIGHT_HOST)
IPV6 = Family(pair.LEFT6, pair.RIGHT6, pair.LEFT_NET6, pair.RIGHT_NET6, pair.LEFT_HOST6, pair.RIGHT_HOST6)


def target(family: Family, encapsulation: Encapsulation = "udp", **triggers: Sequence[str]) -> Target:
    """The gateway on the right, as seen from the left. `triggers`: by their names, with "_"."""
    names = (family.left, family.right, "config.probe.test", PROBE)
    local, remote, config, certificate = map(Identity.parse, names)
    assert local is not None
    assert remote is not None
    assert config is not None
    assert certificate is not None
    ours = _issued(PROBE, family.left, "tn.example.com", "tn@example.com")
    return Target(
        ip_address(family.right),
        ip_address(family.left),
        Secret(bytes.fromhex(SECRET[2:])),
        local,
        remote,
        ip_network(family.left_net),
        ip_network(family.right_net),
        ip_address(family.left_host),
        ip_address(family.right_host),
        encapsulation=encapsulation,
        limits=LIMITS,
        identities={"config": config, "certificate": certificate},
        credentials=Credentials(ours.der, private_keys.load(ours.pkcs8), chain().root.der),
        triggers={name.replace("_", "-"): command for name, command in triggers.items()},
    )


def _issued(*names: str) -> Entity:
    """A certificate for these names, by the root itself."""
    key, root = make_key("ecdsa"), chain().root
    contents = Contents(dn=f"C=CH, O=ikepy, CN={names[0]}", san=names, flags=("serverAuth", "clientAuth"))
    return Entity(key, certificates.issue(key.public_key(), root.key, root.certificate, contents))


def write_certificates(family: Family, directory: Path) -> None:
    """The certificate, key and CA of the gateway, where the printed configuration has them."""
    nut = _issued(family.right, "nut.example.com", "nut@example.com")
    for name, octets in (
        ("x509/nut.crt", nut.pem),
        ("private/nut.key", nut.pkcs8_pem),
        ("x509ca/ca.crt", chain().root.pem),
    ):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_bytes(octets)


def with_secret(config: str) -> str:
    """A printed configuration of the peer, with the secret in its place."""
    return config.replace(peer_config.SECRET, SECRET)


def run_cases(ends: Pair, under_test: Target, *patterns: str) -> list[Result]:
    """Run the cases of a responder that the globs name, from the left."""
    sets.load()
    found = registry.cases(patterns, "responder")
    return ends.left.inside(lambda: asyncio.run(runner.run(found, under_test)))


def told(results: Iterable[Result]) -> dict[str, str]:
    """What did not pass, with why."""
    short = (one for one in results if one.verdict is not Verdict.PASS)
    return {one.case.id: f"{one.verdict.value}: {one.reason}" for one in short}
