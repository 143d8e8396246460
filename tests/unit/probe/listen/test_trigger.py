"""Commands that make an initiator under test act."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from ikepy.probe.listen.profile import COMMON, Action, Lifetimes, Profile
from ikepy.probe.listen.trigger import ANY, Commands, Person
from ikepy.probe.verdict import Inconclusive, NotApplicable
from tests.netns.namespaces import wait_until

OTHER = COMMON.but("other", child=Lifetimes(1, 2.5), esp=("a", "b"))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def ask(commands: Commands, action: Action = Action.INITIATE, profile: Profile = COMMON) -> None:
    asyncio.run(commands.ask(action, profile, "SGW.I.1"))


def test_environment_of_a_command(tmp_path: Path) -> None:
    told = tmp_path / "told"
    code = (
        "import os, pathlib;"
        "words = sorted(f'{k}={v}' for k, v in os.environ.items() if 'IKEPY_PROBE' in k);"
        f"pathlib.Path({str(told)!r}).write_text('\\n'.join(words))"
    )
    ask(Commands({ANY: python(code)}, configures=True, grace_s=30), Action.REKEY_CHILD, OTHER)
    assert told.read_text().splitlines() == [
        "IKEPY_PROBE_ACTION=rekey-child",
        "IKEPY_PROBE_CASE=SGW.I.1",
        "IKEPY_PROBE_CHILD_LIFE_TIME=2.5",
        "IKEPY_PROBE_CHILD_REKEY_TIME=1",
        "IKEPY_PROBE_ESP=a,b",
        f"IKEPY_PROBE_IKE={COMMON.ike[0]}",
        "IKEPY_PROBE_PROFILE=other",
    ]


def test_an_action_has_its_own_command() -> None:
    commands = Commands({ANY: python("raise SystemExit(1)"), "initiate": python("")}, grace_s=30)
    ask(commands)
    with pytest.raises(Inconclusive, match="exit status 1"):
        ask(commands, Action.REKEY_IKE)


def test_what_no_command_can_do() -> None:
    commands = Commands({"initiate": python("")})
    ask(commands, Action.STOP)
    with pytest.raises(NotApplicable, match="--trigger rekey-ike"):
        ask(commands, Action.REKEY_IKE)
    with pytest.raises(NotApplicable, match=r"another configuration.*esp a,b"):
        ask(commands, profile=OTHER)
    ask(commands, profile=COMMON.but("childless", needs_child=False))


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("import sys; sys.exit('no such suite')", Inconclusive, "no such suite"),
        ("import sys; print('no ESN', file=sys.stderr); sys.exit(2)", NotApplicable, "^no ESN$"),
    ],
)
def test_failures(code: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask(Commands({ANY: python(code)}, grace_s=30))


def test_a_command_that_waits_for_the_tunnel(tmp_path: Path) -> None:
    """It goes on while its case does, and is ended before the next one, and at the end."""
    told = tmp_path / "told"
    code = f"import os, time; open({str(told)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(600)"

    def lines() -> list[str]:
        return told.read_text().splitlines() if told.exists() else []

    async def twice() -> list[int]:
        commands = Commands({ANY: python(code)}, grace_s=0.05)
        for number in (1, 2):
            await commands.ask(Action.INITIATE, COMMON, "SGW.I.1")
            await asyncio.to_thread(wait_until, lambda: len(lines()) == number, "its process ID")  # noqa: B023
        pids = [int(line) for line in lines()]
        os.kill(pids[1], 0)
        return pids

    for pid in asyncio.run(twice()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_such_program() -> None:
    with pytest.raises(Inconclusive, match="can't be run: No such file"):
        ask(Commands({ANY: ["/no/such/program"]}))


def test_a_person_is_told_once_of_a_profile() -> None:
    said: list[str] = []
    person = Person(said.append)

    async def tell() -> None:
        for action in (Action.INITIATE, Action.REKEY_CHILD, Action.STOP):
            await person.ask(action, OTHER, "SGW.I.1")

    asyncio.run(tell())
    assert [line for line in said if "profile" in line] == ["    profile: other"]
    assert [line for line in said if "rekey the CHILD_SA" in line]
    assert not any("stop" in line for line in said)
