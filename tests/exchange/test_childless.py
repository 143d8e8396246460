"""An IKE_SA without a first child (RFC 6023): the children come by CREATE_CHILD_SA."""

import pytest

from ikepy.sa.api.commands import Initiate

from .network import Network, Options, assert_joined


def connect(a: str, b: str) -> Network:
    net = Network(Options(connection=f'childless = "{a}"'), Options(connection=f'childless = "{b}"'))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    return net


@pytest.mark.parametrize(
    ("a", "b"), [("prefer", "allow"), ("force", "allow"), ("prefer", "force"), ("force", "force")]
)
def test_the_child_comes_later(a: str, b: str) -> None:
    net = connect(a, b)
    assert net.ladder[4:] == ["a -> b CREATE_CHILD_SA request 2", "b -> a CREATE_CHILD_SA response 2"]
    assert net.a.outcomes[1].ok
    assert_joined(net)


@pytest.mark.parametrize(("a", "b"), [("allow", "allow"), ("prefer", "never"), ("never", "allow")])
def test_the_child_comes_at_once(a: str, b: str) -> None:
    net = connect(a, b)
    assert len(net.ladder) == 4
    assert net.a.outcomes[1].ok
    assert_joined(net)


@pytest.mark.parametrize(("a", "b"), [("force", "never"), ("allow", "force")])
def test_ends_that_cannot_agree(a: str, b: str) -> None:
    net = connect(a, b)
    assert not net.a.outcomes[1].ok
    assert net.a.manager.idle
    net.run(40)
    assert net.b.manager.idle
    assert not net.b.plane.inbound
