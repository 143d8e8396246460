"""How often strangers can have names looked up."""

from __future__ import annotations

import itertools

from ikepy.config.model import Config, DnsName
from ikepy.sa.admission.name_refresh import AT_ONCE, PATIENCE, PER_SECOND, REFRESH, NameRefresh
from tests.unit.daemon.fakes import connection


def config(*names: str) -> Config:
    connections = {f"c{n}": connection(f"c{n}", remote_addrs=[name]) for n, name in enumerate(names)}
    return Config.model_validate({"connections": connections})


def refresh(*names: str) -> NameRefresh:
    made = NameRefresh(itertools.count(1).__next__)
    made.configure(config(*names))
    return made


def test_each_name_is_asked_for_once_in_a_while() -> None:
    names = refresh("a.example", "b.example", "192.0.2.7")
    (asked,) = names.ask(0.0)
    assert set(asked.names) == {DnsName("a.example"), DnsName("b.example")}
    assert not names.ask(REFRESH - 1)
    assert len(names.ask(REFRESH)) == 1


def test_all_names_together_are_asked_for_at_a_rate() -> None:
    names = refresh(*(f"n{number}.example" for number in range(1000)))
    asked = [one for tick in range(1000) for look_up in names.ask(tick / 100) for one in look_up.names]
    assert len(asked) <= PER_SECOND * 11
    assert len(set(asked)) == len(asked), "the one that was asked for the longest ago goes first"
    assert len(names.ask(100.0)[0].names) <= AT_ONCE


def test_it_is_under_way_until_it_is_answered_or_forgotten() -> None:
    names = refresh("a.example")
    assert not names.under_way(0.0)
    (first,) = names.ask(0.0)
    assert names.under_way(1.0)
    assert names.looked_up(first.ticket) and not names.looked_up(first.ticket)
    assert not names.under_way(1.0)
    names.ask(100.0)
    assert names.under_way(100.0) and not names.under_way(100.0 + PATIENCE)


def test_names_that_are_configured_no_more_are_not_asked_for() -> None:
    names = refresh("a.example")
    names.configure(config("b.example"))
    assert names.ask(0.0)[0].names == (DnsName("b.example"),)
    names.configure(config("192.0.2.7"))
    assert not names.ask(1000.0)


def test_what_was_asked_for_lately_is_not_again_after_a_reconfiguration() -> None:
    names = refresh("a.example")
    names.ask(0.0)
    names.configure(config("a.example", "b.example"))
    assert names.ask(1.0)[0].names == (DnsName("b.example"),)
