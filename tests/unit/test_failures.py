"""What goes wrong between two gateways, and the tests that make it happen and read what `ikepy status` says.

Each stands between two real daemons, or against a real strongSwan.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[1]
NETNS, IDLE, INTEROP = "netns/test_status.py", "netns/test_status_idle.py", "interop/test_status.py"
READERS = frozenset({"found", "findings", "status", "ask", "owners"})  # of what `ikepy status` says


class Failure(NamedTuple):
    """What an operator sees, and the tests of it: file and function."""

    sees: str
    tests: tuple[tuple[str, str], ...]


FAILURES = {
    1: Failure(
        "nothing happens",
        ((NETNS, "test_a_silent_peer"), (NETNS, "test_what_icmp_says_of_a_silent_peer")),
    ),
    2: Failure("refused at once", ((NETNS, "test_no_common_ike_suite"), (INTEROP, "test_a_refusal"))),
    3: Failure("two tries, then nothing", ((NETNS, "test_the_peer_wants_another_group"),)),
    4: Failure(
        "refused after a moment",
        (
            (NETNS, "test_another_secret"),
            (NETNS, "test_an_unknown_identity"),
            (INTEROP, "test_a_refusal"),
        ),
    ),
    5: Failure("the same, behind a NAT", ((NETNS, "test_the_identity_is_the_address_behind_a_nat"),)),
    6: Failure("the secret of another connection is taken", ((NETNS, "test_another_secret"),)),
    7: Failure(
        "IKE is up, no child: the selectors",
        ((NETNS, "test_selectors_that_do_not_fit"), (INTEROP, "test_a_refusal")),
    ),
    8: Failure(
        "IKE is up, no child: the suites",
        ((NETNS, "test_no_common_esp_suite"), (INTEROP, "test_a_refusal")),
    ),
    9: Failure("fails after an hour", ((NETNS, "test_pfs_fails_at_the_first_rekey"),)),
    10: Failure(
        "fails at each rekey with one vendor", ((INTEROP, "test_a_rekey_that_a_strongswan_refuses"),)
    ),
    11: Failure("up, nothing comes in", ((NETNS, "test_esp_is_blocked"), (NETNS, "test_esp_is_rejected"))),
    12: Failure(
        "up, nothing goes out",
        ((NETNS, "test_no_route_leads_into_the_tunnel"), (NETNS, "test_traffic_that_goes_wrong")),
    ),
    13: Failure("dies when idle", ((IDLE, "test_it_dies_when_idle_and_comes_back_by_itself"),)),
    14: Failure("ping works, TCP hangs", (("netns/test_probes.py", "test_round_trips_and_the_path_mtu"),)),
    15: Failure("IKE_AUTH is never answered", ((NETNS, "test_ip_fragments_are_dropped"),)),
    16: Failure("up, every packet fails its check", ((NETNS, "test_every_packet_fails_its_check"),)),
    17: Failure("packets are dropped as replays", ((NETNS, "test_traffic_that_goes_wrong"),)),
    18: Failure("duplicates pile up", ((INTEROP, "test_ike_sas_pile_up"),)),
    19: Failure(
        "flaps every few minutes",
        ((NETNS, "test_it_goes_up_and_down"), (NETNS, "test_the_peer_does_not_answer_any_more")),
    ),
    20: Failure("the peer restarted", ((NETNS, "test_traffic_that_goes_wrong"),)),
    21: Failure(
        "works one way for some subnets",
        (
            (NETNS, "test_traffic_that_goes_wrong"),
            (INTEROP, "test_packets_outside_the_selectors_come_in"),
        ),
    ),
    22: Failure("up, wrong tunnel", ((NETNS, "test_two_tunnels_to_one_network"),)),
    23: Failure(
        "the peer's address changed",
        ((NETNS, "test_the_path_changes"), (IDLE, "test_it_dies_when_idle_and_comes_back_by_itself")),
    ),
    24: Failure(
        "sudden end: own address, or no TUN",
        (
            (NETNS, "test_our_address_goes"),
            ("netns/test_reconcile.py", "test_a_device_whose_name_is_taken_is_made_when_it_is_free"),
        ),
    ),
}


@cache
def functions(file: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((TESTS / file).read_text())
    return {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}


def calls(function: ast.FunctionDef) -> set[str]:
    called = [one.func for one in ast.walk(function) if isinstance(one, ast.Call)]
    return {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in called}


def test_all_of_them() -> None:
    assert list(FAILURES) == list(range(1, 25))
    assert all(one.sees and one.tests for one in FAILURES.values())


@pytest.mark.parametrize(
    ("file", "name"), sorted({each for one in FAILURES.values() for each in one.tests}), ids=str
)
def test_it_is_there_and_reads_the_status(file: str, name: str) -> None:
    assert calls(functions(file)[name]) & READERS
