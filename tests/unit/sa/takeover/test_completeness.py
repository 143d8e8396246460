"""All that an IKE_SA and its children know is exported, or left behind for a reason."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ikepy.eap.granted import Granted
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.message.window import WindowState
from ikepy.sa.negotiation.ts_request import TsRequest
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.desired_children import DesiredChildren
from ikepy.sa.state.lifetime import Lifetime, TrafficLimit
from ikepy.sa.state.peer_addresses import Mobike
from ikepy.sa.state.resumption import ClientTicket, Resumption, Terms
from ikepy.sa.state.set_up import SetUp
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.sa.takeover.values import (
    ExportedChild,
    ExportedGranted,
    ExportedIkeSa,
    ExportedLifetime,
    ExportedLimit,
    ExportedMobike,
    ExportedNetwork,
    ExportedRequest,
    ExportedResumption,
    ExportedSetUp,
    ExportedTerms,
    ExportedTicket,
    ExportedWindow,
)
from tests.exchange.test_established import established, ike_sa

# Attributes of an IKE_SA that the export has under another name.
RENAMED = {
    "nat": "nat_local",
    "kept_path": "children_path",
    "established_at": "established",
    "reauth_at": "reauth_in",
    "authenticated_until": "authenticated_for",
    "busy_at": "busy",
    "heard_at": "heard",
    "sent_at": "sent",
    "desired": "purpose",
    "redirection": "follows_redirects",
}
LEFT = {
    # The machine's own
    "registry",
    "ike_id",
    "conforms_to",
    "announced",
    # An IKE_SA of which one of these says something is refused.
    "announced_end",
    "ended",
    "phase",
    "connecting",
    "reauth_due",
    "superseded",
    "replacing",
    "rekeyed",
    "newly_up",
    "tasks",
    "jobs",
    "collides_with",
    "followups",
    # Whoever sent fragments sends them all again; limits begin anew.
    "reassembly",
    "probe_rate",
    "report_rate",
    "forgery_limit",
}


def names(kind: type) -> set[str]:
    """Of its fields, private ones without their underscore."""
    return {each.name.lstrip("_") for each in fields(kind)}


def test_every_attribute_of_an_ike_sa() -> None:
    exported = names(ExportedIkeSa)
    assert set(RENAMED.values()) <= exported
    for name in (each.lstrip("_") for each in vars(ike_sa(established(), "a"))):
        assert (name in LEFT) != (RENAMED.get(name, name) in exported), name


def test_every_attribute_of_the_desired_children() -> None:
    assert vars(DesiredChildren()).keys() == {"purpose", "waiting", "due", "unmet", "bounced"}
    # `tickets`: refused. `replaces`: a lost child, for which the IKE_SA is refused. `given_up`: not due then.
    assert names(WantedChild) == {"config", "tickets", "ts_request", "replaces", "given_up"}


@pytest.mark.parametrize(
    ("kind", "exported", "differs"),
    [
        (NetworkSettings, ExportedNetwork, set()),
        (Mobike, ExportedMobike, {"told_by"}),
        (TrafficLimit, ExportedLimit, set()),
        (WindowState, ExportedWindow, set()),
        (SetUp, ExportedSetUp, {"began_at", "ended_at"}),  # as durations, as in the next ones
        (Lifetime, ExportedLifetime, {"rekey_at", "expires_at"}),
        (TsRequest, ExportedRequest, set()),
        (Granted, ExportedGranted, set()),
        (Resumption, ExportedResumption, {"renew_at"}),
        (Terms, ExportedTerms, {"eap_id", "granted", "proven_until"}),  # the IKE_SA's by now
        # The IKE_SA's own, beside the duration
        (ClientTicket, ExportedTicket, {"expires_at", "local_id", "remote_id", "connection", "ike_id"}),
        (
            ChildSa,
            ExportedChild,
            {
                *("installed_at", "remove_at", "bytes", "packets"),
                *("config", "state"),  # the name; `deleted`
                *("child_id", "announced", "copy"),  # the machine's own
                *("replaced_by", "lost"),  # refused, but for a deleted one, which is no more than received
            },
        ),
    ],
)
def test_every_field(kind: type, exported: type, differs: set[str]) -> None:
    assert names(kind) - names(exported) == differs
