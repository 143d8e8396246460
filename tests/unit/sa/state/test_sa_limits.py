"""ikepy.sa.state.sa_limits: which IKE_SAs of an identity count (RFC 7296 1.3)."""

from __future__ import annotations

import pytest

from ikepy.config.toml_source import parse
from ikepy.errors import PeerError
from ikepy.sa.state.ike_sa import Registry
from ikepy.sa.state.registry import SaRegistry
from ikepy.sa.state.sa_limits import check_ike_sa

from .test_registry import Entropy, added, established


def limited(unique: str) -> Registry:
    """Two connections between the same identities, each with one IKE_SA of an identity."""
    texts = [
        f'[connections.{name}]\nlocal.id = "gwa"\nremote.id = "gwb"\nremote_addrs = ["192.0.2.2"]\n'
        f'unique = "{unique}"\nmax_ike_sas_per_identity = 1\n[connections.{name}.children.net]\n'
        for name in ("one", "two")
    ]
    return SaRegistry(parse("".join(texts) + '[secrets.ike]\nsecret = "s3cr3t"\n'), Entropy())


@pytest.mark.parametrize(
    ("unique", "other", "refused"),
    [
        ("no", "one", True),
        ("no", "two", True),
        ("replace", "one", False),
        ("replace", "two", True),
        ("never", "two", False),
    ],
)
def test_what_will_be_replaced_does_not_count(unique: str, other: str, refused: bool) -> None:
    """Of another connection nothing is."""
    table = limited(unique)
    stands = established(table, other, "gwb")
    sa = added(table, "one")
    sa.local_id, sa.remote_id = stands.local_id, stands.remote_id
    if refused:
        with pytest.raises(PeerError, match="has 1 IKE_SAs already"):
            check_ike_sa(sa)
    else:
        check_ike_sa(sa)
