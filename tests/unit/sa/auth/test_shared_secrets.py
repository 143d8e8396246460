"""ikepy.sa.auth.shared_secrets: which former secrets are accepted, for whom, and for how long."""

from __future__ import annotations

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import Config, Daemon, SecretEntry
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.sa.auth.shared_secrets import MOST_FORMER, SharedSecrets
from ikepy.wire.constants import IdType

GWA, GWB, GWC = (Identity(IdType.FQDN, name) for name in (b"gwa", b"gwb", b"gwc"))
AB = ("gwa", "gwb")


def config(grace: float = 10.0, **entries: tuple[str, tuple[str, ...]]) -> Config:
    secrets = {
        name: SecretEntry.model_validate({"secret": secret, "ids": ids})
        for name, (secret, ids) in entries.items()
    }
    return Config(secrets=secrets, daemon=Daemon(old_secret_grace=grace))


def former(secrets: SharedSecrets, remote: Identity = GWB) -> list[bytes]:
    psk = secrets.psk(GWA, remote)
    assert psk is not None
    return [one.expose() for one in secrets.former(psk)]


def rotated(*texts: str) -> SharedSecrets:
    secrets = SharedSecrets(config(ike=(texts[0], AB)))
    for now, text in enumerate(texts[1:]):
        secrets.replace(config(ike=(text, AB)), now)
    return secrets


def test_until_its_time_is_over() -> None:
    secrets = rotated("one", "two")
    (copy,) = secrets.former(secrets.config.secrets["ike"].secret)
    assert secrets.deadline == 10.0
    assert secrets.expire(9.9) == []
    assert former(secrets) == [b"one"]
    assert secrets.expire(10.0) == ["ike"]
    assert former(secrets) == []
    assert secrets.deadline is None
    assert wiped(copy)


def wiped(secret: Secret) -> bool:
    try:
        secret.expose()
    except LocalMisuse:
        return True
    return False


def test_a_reload_without_a_change_keeps_the_time() -> None:
    secrets = rotated("one", "two", "two", "two")
    assert former(secrets) == [b"one"]
    assert secrets.deadline == 10.0


def test_a_change_of_something_else_keeps_the_time() -> None:
    secrets = rotated("one", "two")
    same = secrets.config.secrets
    secrets.replace(Config(secrets=dict(same), daemon=Daemon(old_secret_grace=99)), 5)
    assert former(secrets) == [b"one"]
    assert secrets.deadline == 10.0


def test_several_changes_and_one_back() -> None:
    assert former(rotated("one", "two", "three")) == [b"two", b"one"]
    assert former(rotated("one", "two", "one")) == [b"two"]
    many = rotated(*map(str, range(10)))
    assert former(many) == [b"8", b"7", b"6", b"5"]
    assert len(former(many)) == MOST_FORMER


def test_another_name_for_the_same_identities() -> None:
    secrets = SharedSecrets(config(ike1=("one", AB)))
    secrets.replace(config(ike2=("two", AB)), 0)
    assert former(secrets) == [b"one"]
    assert secrets.expire(10) == ["ike2"]


def test_lines_of_ipsec_secrets_that_move_are_no_rotation() -> None:
    """There the names are numbers: the identities tell the entries apart."""
    other = ("other", ("gwa", "gwc"))
    secrets = SharedSecrets(config(ike1=("one", AB)))
    secrets.replace(config(ike1=other, ike2=("one", AB)), 0)
    assert former(secrets) == former(secrets, GWC) == []


@pytest.mark.parametrize(
    ("before", "after", "accepted"),
    [
        (AB, ("gwa",), [b"one"]),
        ((), AB, [b"one"]),
        (AB, (), []),
        (("gwa",), AB, []),
        (("gwa", "gwc"), AB, []),
    ],
    ids=["fewer", "all before", "all now", "more", "others"],
)
def test_identities_that_it_was_not_for(
    before: tuple[str, ...], after: tuple[str, ...], accepted: list[bytes]
) -> None:
    secrets = SharedSecrets(config(ike=("one", before)))
    secrets.replace(config(ike=("two", after)), 0)
    assert former(secrets) == accepted


def test_the_former_secret_of_all_others_is_none_of_a_named_peer() -> None:
    secrets = SharedSecrets(config(ike=("all", ()), ike_b=("hers", AB)))
    secrets.replace(config(ike=("all 2", ()), ike_b=("hers", AB)), 0)
    assert former(secrets) == []
    assert former(secrets, GWC) == [b"all"]


def test_what_is_removed_is_wiped_at_once() -> None:
    secrets = rotated("one", "two")
    (copy,) = secrets.former(secrets.config.secrets["ike"].secret)
    secrets.replace(config(), 1)
    assert wiped(copy)
    assert secrets.psk(GWA, GWB) is None
    secrets.replace(config(ike=("three", AB)), 2)
    assert former(secrets) == []


def test_the_tries_of_an_initiator_take_turns() -> None:
    secrets = rotated("one", "two")
    psk = secrets.config.secrets["ike"].secret

    def tried(remote: Identity = GWB) -> bytes:
        return secrets.to_try(GWA, remote, psk).expose()

    assert [tried() for _ in range(3)] == [b"two", b"one", b"two"]
    assert tried(GWC) == b"two"
    secrets.succeeded(GWA, GWB)
    assert tried() == b"two"
    assert tried() == b"one"
    secrets.expire(10)
    assert [tried() for _ in range(2)] == [b"two", b"two"]


def test_no_time() -> None:
    secrets = SharedSecrets(config(ike=("one", AB)))
    secrets.replace(config(0.0, ike=("two", AB)), 0)
    assert former(secrets) == []
    assert secrets.deadline is None


def test_ppks_by_their_identifiers_the_first_of_several() -> None:
    entries = {
        name: SecretEntry.model_validate({"kind": kind, "secret": name, "ids": ids})
        for name, kind, ids in (
            ("ike", "ike", ("ppk1",)),
            ("one", "ppk", ("ppk1", "ppk2")),
            ("two", "ppk", ("ppk2", "ppk3")),
        )
    }
    secrets = SharedSecrets(Config(secrets=entries))
    found = [secrets.ppk(data) for data in (b"ppk1", b"ppk2", b"ppk3", b"ppk4")]
    assert [None if one is None else one.expose() for one in found] == [b"one", b"one", b"two", None]
    assert [secrets.name(one) for one in found if one is not None] == ["one", "one", "two"]
    assert not Config(secrets={"ike": entries["ike"]}).has_ppks
