"""A fault of ours in the work for an IKE_SA: nothing of it is left, and who listens hears of its end."""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import Rekey, Terminate
from ikepy.sa.api.events import IkeDown
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.tasks.init import InitTask

from .network import DELAY, Network, Options
from .reconfigured import with_other
from .test_established import established, ike_sa


class BugError(Exception):
    """An error that nobody expects."""


def fails(monkeypatch: pytest.MonkeyPatch, method: str, of: type = IkeSa) -> None:
    """The next call of this method fails."""

    def failing(*args: object, **kwargs: object) -> None:
        monkeypatch.undo()
        raise BugError

    monkeypatch.setattr(of, method, failing)


def ends(net: Network) -> list[IkeDown]:
    return [event for event in net.b.events if isinstance(event, IkeDown)]


@pytest.mark.parametrize("method", ["remove_child", "set_network"])
def test_as_it_is_torn_down(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The effects of the call that failed are lost."""
    net = established()
    fails(monkeypatch, method)
    with pytest.raises(BugError):
        net.command("b", Terminate(ike="ab", force=True))
    net.run_effects("b", net.b.manager.recover(net.now))
    assert net.b.manager.idle and not net.b.manager.child_ids()
    (end,) = ends(net)
    assert end.sa.connection == "ab"
    net.run(400)
    assert not net.b.manager.ike_sas


def test_of_one_that_another_one_has_replaced_nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    net = established()
    net.script = lambda line, nth, data: [] if line.startswith("a -> b INFORMATIONAL") else [DELAY]
    net.command("a", Rekey(ike="ab"))
    net.run(1)
    old, new = net.b.manager.ike_sas
    fails(monkeypatch, "set_network")
    with pytest.raises(BugError):
        net.command("b", Terminate(ike_id=old.ike_id, force=True))
    net.run_effects("b", net.b.manager.recover(net.now))
    assert net.b.manager.ike_sas == [new] and not ends(net)


def test_in_a_set_up_that_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is to blame, and it is tried once more."""
    starts = 'start_action = "start"\nrekey_time = 0'
    base = Options(connection="rekey_time = 0\ndpd_delay = 10", child=starts)
    stays = Options(connection="rekey_time = 0", child="rekey_time = 0")
    net = Network(with_other("a", starts, base=base), stays)
    net.start()
    net.run(60)
    net.replace_config("b", with_other("b", "rekey_time = 0", base=stays))
    up = ike_sa(net, "a")
    fails(monkeypatch, "request", of=InitTask)
    with pytest.raises(BugError):
        net.run(300)
    assert net.a.manager.ticking is None
    net.run_effects("a", net.a.manager.recover(net.now))
    net.run(300)
    assert up.established and len(net.a.manager.ike_sas) == 2
