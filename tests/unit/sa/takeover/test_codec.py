"""Exported IKE_SAs: any value comes back, any bytes give a value or ExportFormatError."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esp.packet.selectors import Selector
from ikepy.config.identity import Identity
from ikepy.crypto.secret import Secret
from ikepy.errors import ExportFormatError, LocalMisuse
from ikepy.sa.takeover import codec
from ikepy.sa.takeover.values import (
    VERSION,
    ExportedChild,
    ExportedGranted,
    ExportedIkeSa,
    ExportedKeys,
    ExportedLifetime,
    ExportedLimit,
    ExportedMobike,
    ExportedNetwork,
    ExportedPath,
    ExportedRequest,
    ExportedResumption,
    ExportedSetUp,
    ExportedStandby,
    ExportedTerms,
    ExportedTicket,
    ExportedWindow,
)
from ikepy.wire.proposal import Proposal, Transform
from tests.exchange.test_established import established
from tests.exchange.test_takeover import exported
from tests.unit.crypto.randomness import seeded

KEY = Secret(bytes(range(32)))
# However slow the machine is: a value has many fields, and none of the tests is about speed.
anyhow = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
HEADER = len(b"ikesa\0p") + 1

u8, u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
names = st.text(max_size=8)
secrets = st.builds(Secret, st.binary(max_size=40))
seconds = st.floats(-1e6, 1e6)
perhaps_seconds = st.none() | seconds
addresses = st.builds(IPv4Address, u32) | st.builds(IPv6Address, st.integers(0, (1 << 128) - 1))
paths = st.builds(ExportedPath, addresses, u16, addresses, u16)
transforms = st.builds(Transform, u8, u16, st.none() | u16)
proposals = st.builds(
    Proposal, u8, u8, st.sampled_from([b"", b"4444"]), st.lists(transforms, max_size=4).map(tuple)
)
identities = st.builds(Identity, u8, st.binary(max_size=20))
datagrams = st.binary(max_size=20)
several = st.lists(datagrams, max_size=2).map(tuple)


@st.composite
def _selectors(draw: st.DrawFn) -> Selector:
    version = draw(st.sampled_from([4, 6]))
    first, last = sorted(draw(st.tuples(*[st.integers(0, (1 << (32 if version == 4 else 128)) - 1)] * 2)))
    return Selector(version, first, last, draw(u8), draw(u16), draw(u16))


selectors = st.lists(_selectors(), max_size=3).map(tuple)
lifetimes = st.builds(ExportedLifetime, perhaps_seconds, perhaps_seconds, u8)
limits = st.builds(ExportedLimit, u64, u64)
children = st.builds(
    ExportedChild,
    name=names,
    proposal=proposals,
    spi_in=st.integers(256, (1 << 32) - 1),
    spi_out=st.integers(256, (1 << 32) - 1),
    keys_in=secrets,
    keys_out=secrets,
    last_sequence=u64,
    replay_top=u64,
    standby=st.booleans(),
    ts_local=selectors,
    ts_remote=selectors,
    trapped=selectors,
    encap=st.booleans(),
    tfc_padding=u16 | st.just("mtu"),
    quantum_safe=st.booleans(),
    installed=seconds,
    lifetime=lifetimes,
    bytes_left=limits,
    packets_left=limits,
    deleted=st.booleans(),
    remove_in=perhaps_seconds,
    waiting=st.none() | st.builds(ExportedStandby, seconds, st.none() | u32, st.booleans()),
)
windows = st.builds(
    ExportedWindow,
    next_request=u32,
    most_ours=st.integers(1, 99),
    expected=u32,
    most_theirs=st.integers(1, 64),
    replies=st.lists(st.tuples(u32, several), max_size=3).map(tuple),
)
mobikes = st.builds(
    ExportedMobike,
    initiator=st.booleans(),
    local=st.lists(addresses, max_size=3).map(tuple),
    remote=st.lists(addresses, max_size=3).map(tuple),
    worked=st.lists(paths, max_size=2).map(tuple),
    searching=st.booleans(),
    probed=u32,
    seen_as=st.binary(max_size=20),
)
networks = st.builds(
    ExportedNetwork,
    addresses=st.lists(st.builds(IPv4Interface, u32) | st.builds(IPv6Interface, u64), max_size=2).map(tuple),
    subnets=st.lists(st.builds(IPv4Network, u32) | st.builds(IPv6Network, u64), max_size=2).map(tuple),
    dns_servers=st.lists(addresses, max_size=2).map(tuple),
    domains=st.lists(names, max_size=2).map(tuple),
    encrypted_dns=st.lists(names, max_size=2).map(tuple),
    leases=st.lists(addresses, max_size=2).map(tuple),
)
granted = st.builds(
    ExportedGranted,
    user=names,
    addresses=st.lists(addresses, max_size=2).map(tuple),
    dns_servers=st.lists(addresses, max_size=2).map(tuple),
    session_timeout=perhaps_seconds,
    classes=several,
    interim=perhaps_seconds,
)
ticket_ids = st.binary(max_size=16)
resumptions = st.builds(
    ExportedResumption,
    resumed=st.none()
    | st.builds(
        ExportedTerms,
        local_id=identities,
        remote_id=identities,
        authenticated_at=u64,
        ticket_id=ticket_ids,
        expires=u64,
        old_spi=st.binary(max_size=8),
    ),
    granted=st.lists(st.tuples(ticket_ids, u64), max_size=3).map(tuple),
    renew_in=perhaps_seconds,
    ticket=st.none()
    | st.builds(
        ExportedTicket,
        data=datagrams,
        expires_in=seconds,
        sk_d=secrets,
        proposal=proposals,
        gateway=addresses,
        tries=u16,
        ppk=st.booleans(),
        keeps_safe=st.booleans(),
        proven_until=perhaps_seconds,
    ),
)
requests = st.builds(
    ExportedRequest,
    child=names,
    due_in=seconds,
    packet=st.none() | st.tuples(_selectors(), _selectors()),
    within=st.none() | st.tuples(selectors, selectors),
    alone=st.booleans(),
)
ike_sas = st.builds(
    ExportedIkeSa,
    connection=names,
    initiator=st.booleans(),
    spi_i=st.binary(min_size=8, max_size=8),
    spi_r=st.binary(min_size=8, max_size=8),
    proposal=proposals,
    keys=st.builds(ExportedKeys, *[secrets] * 7, st.none() | u64),
    window=windows,
    last_answered=st.none() | st.tuples(datagrams, several),
    path=paths,
    children_path=st.none() | paths,
    nat_supported=st.booleans(),
    nat_local=st.booleans(),
    nat_remote=st.booleans(),
    fragmentation=st.booleans(),
    follows_redirects=st.booleans(),
    ppk=st.booleans(),
    quantum_safe=st.booleans(),
    keeps_safe=st.booleans(),
    mobike=st.none() | mobikes,
    stranded=st.booleans(),
    network=networks,
    local_id=identities,
    remote_id=identities,
    eap_id=names,
    granted=granted,
    proven_until=perhaps_seconds,
    established=seconds,
    heard=seconds,
    sent=seconds,
    busy=perhaps_seconds,
    lifetime=lifetimes,
    reauth_in=perhaps_seconds,
    authenticated_for=perhaps_seconds,
    resumption=resumptions,
    crash_tokens=st.lists(st.binary(min_size=16, max_size=32), max_size=4).map(tuple),
    set_up=st.builds(
        ExportedSetUp, st.booleans(), seconds, seconds, st.binary(max_size=32), st.booleans(), u8
    ),
    first_after_auth=st.none() | u32,
    purpose=st.lists(names, max_size=3).map(tuple),
    unmet=st.lists(names, max_size=3).map(tuple),
    bounced=st.lists(st.tuples(names, u32), max_size=2).map(tuple),
    requests=st.lists(requests, max_size=2).map(tuple),
    children=st.lists(children, max_size=2).map(tuple),
)


@anyhow
@given(ike_sas)
def test_round_trip(value: ExportedIkeSa) -> None:
    assert codec.decode(codec.encode(value)) == value
    assert codec.unseal(codec.seal(value, KEY, seeded(1)), KEY) == value


beginnings = st.sampled_from([b"", b"ikesa\0p" + bytes([VERSION]), b"ikesa\0s" + bytes([VERSION])])


@anyhow
@given(st.builds(bytes.__add__, beginnings, st.binary(max_size=200)))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(ExportFormatError):
        codec.decode(data)
    with pytest.raises(ExportFormatError):
        codec.unseal(data, KEY)


@anyhow
@given(ike_sas, st.data())
def test_a_changed_octet(value: ExportedIkeSa, data: st.DataObject) -> None:
    encoded = bytearray(codec.encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(u8)
    try:
        changed = codec.decode(bytes(encoded))
    except ExportFormatError:
        return
    assert codec.decode(codec.encode(changed)) == changed


def _places(tree: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    if isinstance(tree, dict):
        return found + [place for key, each in tree.items() for place in _places(each, (*at, key))]
    if isinstance(tree, list):
        return found + [place for index, each in enumerate(tree) for place in _places(each, (*at, index))]
    return found


STRANGE: st.SearchStrategy[object] = st.sampled_from(
    [None, True, "", "zz", "0g", [], {}, [[]], -1, 1 << 64, 1 << 200, 1.5, 1e300, "::1", "1.2.3.4", "ff" * 99]
)


@anyhow
@given(ike_sas, STRANGE, st.data())
def test_a_field_of_another_kind(value: ExportedIkeSa, strange: object, data: st.DataObject) -> None:
    tree = json.loads(codec.encode(value)[HEADER:])
    *way, last = data.draw(st.sampled_from(_places(tree)))
    inside = tree
    for step in way:
        inside = inside[step]
    inside[last] = strange
    changed = codec.encode(value)[:HEADER] + json.dumps(tree).encode()
    try:
        codec.decode(changed)
    except ExportFormatError as error:
        assert len(str(error)) < 500


@anyhow
@given(ike_sas)
def test_a_field_too_many_or_too_few(value: ExportedIkeSa) -> None:
    header = codec.encode(value)[:HEADER]
    tree = json.loads(codec.encode(value)[HEADER:])
    for name in tree:
        with pytest.raises(ExportFormatError, match=name):
            codec.decode(header + json.dumps({k: v for k, v in tree.items() if k != name}).encode())
    with pytest.raises(ExportFormatError, match="more"):
        codec.decode(header + json.dumps({**tree, "more": 1}).encode())
    for number in ("NaN", "Infinity", "-Infinity", "1e400"):
        text = json.dumps({**tree, "heard": 0.125}).replace("0.125", number, 1)
        if number in text:
            with pytest.raises(ExportFormatError):
                codec.decode(header + text.encode())


@anyhow
@given(ike_sas, st.integers(0, 255).filter(lambda version: version != VERSION))
def test_another_version(value: ExportedIkeSa, version: int) -> None:
    for data, read in (
        (codec.encode(value), codec.decode),
        (codec.seal(value, KEY, seeded(1)), lambda sealed: codec.unseal(sealed, KEY)),
    ):
        with pytest.raises(ExportFormatError, match=f"version {version}; this release reads {VERSION}"):
            read(data[: HEADER - 1] + bytes([version]) + data[HEADER:])


@anyhow
@given(ike_sas)
def test_another_key(value: ExportedIkeSa) -> None:
    with pytest.raises(ExportFormatError, match="another key"):
        codec.unseal(codec.seal(value, KEY, seeded(1)), Secret(bytes(32)))


def test_deep_nesting_and_long_numbers() -> None:
    header = b"ikesa\0p" + bytes([VERSION])
    for text in (b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b'"' + b"\\u0000" * 100_000):
        with pytest.raises(ExportFormatError):
            codec.decode(header + text)


@anyhow
@given(ike_sas)
def test_errors_show_no_keys(value: ExportedIkeSa) -> None:
    value = replace(value, keys=replace(value.keys, sk_d=Secret(b"a secret")))
    tree = json.loads(codec.encode(value)[HEADER:])
    tree["keys"]["sk_d"] += "!"
    with pytest.raises(ExportFormatError) as caught:
        codec.decode(codec.encode(value)[:HEADER] + json.dumps(tree).encode())
    assert b"a secret".hex() not in str(caught.value)
    assert caught.value.__cause__ is None


_DECODE = """
import resource, sys
from ikepy.errors import ExportFormatError, LocalMisuse
from ikepy.sa.takeover import codec
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    codec.decode(sys.stdin.buffer.read())
except ExportFormatError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""
_LIMIT = 4 << 30  # octets of memory: beyond it the parser ends the process


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize(
    ("name", "one", "count"),
    [
        ("children", "0", 1_000_000),
        ("purpose", "[]", 500_000),
        ("children", "{}", 500_000),
        ("mobike", "[]", 500_000),
        ("more", "0", 1_000_000),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_memory_is_bounded(name: str, one: str, count: int, beyond: bool, whole: bool) -> None:
    """Faults by the million are not all named, and what has more values than any export is not parsed.
    `whole`: all other fields are as they should be."""
    tree = json.loads(codec.encode(exported(established(), "a"))[HEADER:]) if whole else {}
    tree.pop(name, None)
    each = ",".join([one] * (count * (5 if beyond else 1)))
    text = f'{json.dumps(tree)[:-1]}{"," if whole else ""}"{name}":[{each}]}}'
    data = b"ikesa\0p" + bytes([VERSION]) + text.encode()
    assert len(data) < codec.MAX_OCTETS
    found = subprocess.run(
        [sys.executable, "-c", _DECODE, str(_LIMIT)],
        input=data,
        capture_output=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-500:]
    kibibytes, error = found.stdout.split(b" ", 1)
    assert int(kibibytes) < 512 << 10
    assert len(error) < 200


def test_many_unknown_names() -> None:
    names = ",".join(f'"{number:x}":0' for number in range(500_000))
    with pytest.raises(ExportFormatError, match="'0' is unknown"):
        codec.decode(b"ikesa\0p" + bytes([VERSION]) + f"{{{names}}}".encode())


def test_what_could_not_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    value = exported(established(), "a")
    codec.encode(value)
    monkeypatch.setattr(codec, "MAX_VALUES", 20)
    with pytest.raises(LocalMisuse, match="values"):
        codec.encode(value)
