"""How often what does not come up is tried: for ever what is configured to be up, and what is said of it."""

from __future__ import annotations

import itertools

import pytest

from esp.packet.selectors import Selector
from ikepy.sa.api.commands import Acquire, Initiate, Terminate
from ikepy.sa.api.effects import Level

from .network import DELAY, Network, Options

PACKET = Selector.of("10.1.0.1/32")
LASTING = "rekey_time = 0"
START = f'{LASTING}\nstart_action = "start"'
OTHER_IKE = '["aes256-sha384-modp3072"]'
OTHER_ESP = '["aes256-sha384"]'
GOOD = Options(child=LASTING, connection=LASTING)
# What b has of its own, and the first message of ours that shows a try.
REFUSALS = [
    pytest.param(Options(proposals=OTHER_IKE), "a -> b IKE_SA_INIT request 0", id="IKE proposal"),
    pytest.param(Options(secret="another"), "a -> b IKE_AUTH request 1", id="secret"),
    pytest.param(Options(esp_proposals=OTHER_ESP), "CREATE_CHILD_SA", id="ESP proposal"),
    pytest.param(Options(local_ts='["10.9.0.0/24"]'), "CREATE_CHILD_SA", id="selectors"),
    pytest.param(None, "a -> b IKE_SA_INIT request 0", id="silence"),
]


class Bed:
    """a wants the child up; b refuses, or is silent, until it is mended."""

    def __init__(self, a: Options, b: Options | None, line: str) -> None:
        self.net = Network(a, b or GOOD)
        self.silent = b is None
        self.at: list[float] = []
        self._line = line
        self.net.script = self._note

    def _note(self, line: str, nth: int, data: bytes) -> list[float]:
        if self._line in line and line.startswith("a ") and "request" in line:
            self.at.append(self.net.now)
        return [] if self.silent else [DELAY]

    def mend(self) -> None:
        """b starts anew, as it should be."""
        self.silent = False
        self.net.b = Network(GOOD, seed="mended").b

    def said(self, text: str) -> list[Level]:
        return [log.level for log in self.net.a.logs if text in log.text]

    @property
    def is_up(self) -> bool:
        return len(self.net.a.plane.outbound) == len(self.net.b.plane.outbound) == 1


def wanting(child: str, connection: str = LASTING) -> Options:
    selector = '["10.1.0.0/24"]'
    return Options(local_ts=selector, remote_ts=selector, child=child, connection=connection)


@pytest.mark.parametrize(("b", "line"), REFUSALS)
def test_what_is_configured_to_be_up_is_tried_for_ever(b: Options | None, line: str) -> None:
    """An hour of it: waits that double from two seconds to two minutes, and it comes up in the end."""
    bed = Bed(wanting(START), b, line)
    bed.net.start()
    bed.net.run(3600)
    gaps = [later - earlier for earlier, later in itertools.pairwise(bed.at)]
    assert max(gaps) < 152 + (76 if b is None else 0)  # its last retransmission is 76 s before its end
    if b is None:
        assert len(bed.said("the peer does not answer, giving up")) >= 10
        assert bed.said("next try in")
    else:
        first = 4 if line == "CREATE_CHILD_SA" else 2  # the first try was in IKE_AUTH
        assert all(first * 2**n <= gap <= first * 2**n * 1.4 for n, gap in enumerate(gaps[:5]))
        assert 25 <= len(bed.at) <= 40
    assert not bed.said("is given up")
    bed.mend()
    bed.net.run(320)  # a has to notice first that b forgot the IKE_SA
    assert bed.is_up


@pytest.mark.parametrize(("b", "line"), REFUSALS)
@pytest.mark.parametrize("tries", [1, 3])
def test_keyingtries_is_a_limit_and_the_log_says_how_to_go_on(
    b: Options | None, line: str, tries: int
) -> None:
    bed = Bed(wanting(START, f"{LASTING}\nkeyingtries = {tries}"), b, line)
    bed.net.start()
    bed.net.run(3600)
    if b is not None:
        assert len(bed.at) == (tries - 1 if line == "CREATE_CHILD_SA" else tries)
    assert bed.said("is given up after ") == [Level.ERROR]
    assert bed.said("started again by: ikepy initiate --ike ab --child net")
    assert not bed.net.a.manager.retrying
    bed.mend()
    bed.net.run(400)
    assert not bed.is_up
    bed.net.command("a", Initiate("ab", "net", ticket=1))
    bed.net.run(320)
    bed.net.command("a", Initiate("ab", "net", ticket=2))
    bed.net.run(5)
    assert bed.is_up


@pytest.mark.parametrize(("b", "line"), REFUSALS)
def test_initiate_reports_the_first_failure_and_what_is_to_be_up_goes_on(
    b: Options | None, line: str
) -> None:
    bed = Bed(wanting(START), b, line)
    bed.net.command("a", Initiate("ab", "net", ticket=1))
    bed.net.run(170 if b is None else 1)
    assert not bed.net.a.outcomes[1].ok
    bed.mend()
    bed.net.run(320)
    assert bed.is_up


def test_what_is_only_asked_for_is_tried_once() -> None:
    bed = Bed(wanting(LASTING), Options(secret="another"), "IKE_SA_INIT")
    bed.net.command("a", Initiate("ab", "net", ticket=1))
    bed.net.run(3600)
    assert len(bed.at) == 1
    assert not bed.net.a.outcomes[1].ok
    assert bed.said("started again by: ikepy initiate --ike ab --child net") == [Level.INFO]


def test_a_trap_waits_for_a_packet_again() -> None:
    bed = Bed(wanting(f'{LASTING}\nstart_action = "trap"'), Options(secret="another"), "IKE_SA_INIT")
    for count in (1, 2):
        bed.net.command("a", Acquire("ab", PACKET, PACKET))
        bed.net.run(600)
        assert len(bed.at) == count
        assert bed.said("waits for a packet again") == [Level.INFO] * count
    bed.mend()
    bed.net.command("a", Acquire("ab", PACKET, PACKET))
    bed.net.run(1)
    assert bed.is_up


def test_the_count_begins_anew_when_it_was_up() -> None:
    bed = Bed(wanting(START, f"{LASTING}\nkeyingtries = 2"), Options(secret="another"), "IKE_SA_INIT")
    bed.net.start()
    bed.net.run(1)
    bed.mend()
    bed.net.run(10)
    assert bed.is_up
    bed.net.command("a", Terminate(ike="ab"))
    bed.net.b = Network(Options(secret="another"), seed="spoiled").b
    bed.net.run(1)
    bed.at.clear()
    bed.net.command("a", Initiate("ab", "net", ticket=1))
    bed.net.run(600)
    assert len(bed.at) == 2


@pytest.mark.parametrize("command", [Terminate(ike="ab", ticket=2), Terminate(child="net", ticket=2)])
@pytest.mark.parametrize(("b", "line"), REFUSALS)
def test_terminate_ends_the_tries(b: Options | None, line: str, command: Terminate) -> None:
    bed = Bed(wanting(START), b, line)
    bed.net.start()
    bed.net.run(30)
    bed.net.command("a", command)
    bed.net.run(5)
    assert bed.net.a.outcomes[2].ok, bed.net.a.outcomes[2].text
    bed.at.clear()
    bed.net.run(3600)
    assert not bed.at
    assert not bed.net.a.manager.retrying


def test_initiate_does_not_wait_for_the_next_try_nor_make_more_of_them() -> None:
    bed = Bed(wanting(START), Options(secret="another", daemon="cookie_threshold_ip = 0"), "IKE_SA_INIT")
    bed.net.start()
    bed.net.run(1000)
    bed.at.clear()
    for ticket in range(1, 6):
        bed.net.command("a", Initiate("ab", "net", ticket=ticket))
        bed.net.run(0.5)
        assert not bed.net.a.outcomes[ticket].ok
    assert len(bed.at) == 5
    bed.net.run(3600)
    assert len(bed.at) <= 45


@pytest.mark.parametrize("action", ["dpd_action", "close_action"])
def test_what_is_to_come_up_again_is_tried_for_ever(action: str) -> None:
    a = wanting(f'{LASTING}\n{action} = "start"', f"{LASTING}\ndpd_delay = 10")
    bed = Bed(a, GOOD, "IKE_SA_INIT")
    bed.net.command("a", Initiate("ab", "net"))
    bed.net.run(20)
    if action == "close_action":
        bed.net.command("b", Terminate(ike="ab"))
        bed.net.run(2 * DELAY)
    bed.silent = True
    bed.net.run(7200)
    bed.mend()
    bed.net.run(200)
    assert bed.is_up
