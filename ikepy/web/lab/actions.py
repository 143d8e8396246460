"""Does to a lab what a page asks for: the functions behind `action_list`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from ikepy.lab import measure, topology
from ikepy.lab.authentication import PSK
from ikepy.lab.bed import Lab
from ikepy.lab.netns import LabError, Namespace
from ikepy.web.lab.action_list import ACTIONS, Action, at_cgw, field_value
from ikepy.web.lab.meddler import Meddler, Order, Verb
from ikepy.web.window import RefusedError

IKE, CHILD = "c4", "net"  # the names of connection and child on the CGW
WRONG_SECRET = "not the secret that the other end has"
PATIENCE = 20.0  # seconds for an exchange
LIVENESS = 2  # seconds between liveness checks while the uplink is cut
_SECRET = re.compile(r"^secret = .*$", re.MULTILINE)
_SELECTORS = re.compile(r"^(local|remote)_ts = .*$", re.MULTILINE)
# What the CGW asks for, and what C4 would grant: nothing of it is the same.
_WISHED = {
    "local": topology.network(topology.SEGMENT["cgw"]),
    "remote": topology.network(topology.SITE["c4"]),
}
_GRANTED = {"local": "203.0.113.0/24", "remote": topology.network(topology.SEGMENT["cgw"])}


class Actions:
    """Does them to one lab. `told`: what is going on, for the page's log."""

    def __init__(self, lab: Lab, meddler: Meddler) -> None:
        self._lab = lab
        self._meddler = meddler
        self._originals: dict[str, str] = {}  # configuration files before they were changed, by node
        self._cut = False
        self._bindings = 0
        self._functions: dict[str, Callable[[Mapping[str, object]], Awaitable[str]]] = {
            **{verb.value: self._meddle(verb) for verb in Verb},
            "cut": self._cut_or_mend,
            "rebind": self._rebind,
            "wrong_psk": self._wrong_psk,
            "selectors": self._other_selectors,
            "mend": self._mend,
            "rekey_child": lambda form: self._rekey(form, child=CHILD),
            "rekey_ike": lambda form: self._rekey(form),
            "rekey_both": self._rekey_both,
            "terminate": self._terminate,
            "initiate": self._initiate,
            "kill_worker": self._kill_worker,
        }

    def offered(self) -> tuple[Action, ...]:
        """The actions that this lab can take."""
        ours = self._lab.options.peer == "ikepy"
        return tuple(action if ours else at_cgw(action) for action in ACTIONS if self._fits(action.name))

    def _fits(self, name: str) -> bool:
        options = self._lab.options
        if name == "rebind":
            return options.nat
        if name == "wrong_psk":
            return options.auth == PSK and options.peer == "ikepy"
        if name in ("selectors", "kill_worker", "rekey_both"):
            return options.peer == "ikepy"
        return True

    async def do(self, form: Mapping[str, object]) -> str:
        """Do what the form says; what came of it. Raises RefusedError."""
        action = next((one for one in self.offered() if one.name == form.get("action")), None)
        if action is None:
            raise RefusedError("there is no such action in this lab")
        values = {
            field.name: field_value(field, form.get(field.name, field.default)) for field in action.fields
        }
        try:
            return await self._functions[action.name](values)
        except LabError as error:
            return str(error)

    # -- on the way --------------------------------------------------------------------------------

    def _meddle(self, verb: Verb) -> Callable[[Mapping[str, object]], Awaitable[str]]:
        async def do(form: Mapping[str, object]) -> str:
            count, seconds = int(str(form["count"])), int(str(form.get("milliseconds", 0))) / 1000
            await self._meddler.order(Order(verb, str(form["what"]), count, seconds))
            packets = "message" if form["what"] == "IKE" else "packet"
            return (
                f"{verb} the next {count} {form['what']} {packets}{'s' if count > 1 else ''} on the internet"
            )

        return do

    async def _cut_or_mend(self, _: Mapping[str, object]) -> str:
        self._cut = not self._cut
        state = "down" if self._cut else "up"
        await asyncio.to_thread(self._lab.nodes["internet"].ip, f"link set right {state}")
        if self._lab.cgw.kind == "ikepy":
            await asyncio.to_thread(self._change, "cgw", _impatient if self._cut else _patient)
        if not self._cut:
            return "the uplink of c4 is whole again"
        return f"the uplink of c4 is cut; cgw asks for a sign of life every {LIVENESS} s; again to mend it"

    async def _rebind(self, _: Mapping[str, object]) -> str:
        self._bindings += 1
        first = 20000 + 1000 * (self._bindings % 20)
        await asyncio.to_thread(self._rebind_now, first)
        target = topology.address(topology.SITE["site"])
        await asyncio.to_thread(measure.ping, self._lab.nodes["pod1"], target, count=1)  # else nobody notices
        return f"the NAT has forgotten its mappings; new ones have ports from {first} on"

    def _rebind_now(self, first: int) -> None:
        nat = self._lab.nodes["nat"]
        rule = f'meta l4proto udp oifname "outside" masquerade to :{first}-{first + 999}'
        nat.run(
            "nft", "-f", "-", text=f"flush chain ip nat postrouting\nadd rule ip nat postrouting {rule}\n"
        )
        # Mappings of an address that goes are forgotten with it.
        public, gateway = topology.CGW_PUBLIC, topology.address(topology.INTERNET[0])
        nat.ip(
            f"addr del {public} dev outside",
            f"addr add {public} dev outside",
            f"route replace default via {gateway}",
        )

    # -- in the configuration ----------------------------------------------------------------------

    async def _wrong_psk(self, _: Mapping[str, object]) -> str:
        await asyncio.to_thread(
            self._change, "c4", lambda text: _SECRET.sub(f"secret = {json.dumps(WRONG_SECRET)}", text)
        )
        await asyncio.to_thread(self._anew)
        return "the tunnel is up, against all odds"

    async def _other_selectors(self, _: Mapping[str, object]) -> str:
        await asyncio.to_thread(self._change, "cgw", lambda text: _with_selectors(text, _WISHED))
        await asyncio.to_thread(self._change, "c4", lambda text: _with_selectors(text, _GRANTED))
        await asyncio.to_thread(self._anew)
        return "the tunnel is up, against all odds"

    def _change(self, node: str, change: Callable[[str], str]) -> None:
        gateway = self._lab.gateway(node)
        before = gateway.config
        self._originals.setdefault(node, before)
        gateway.reload(change(before))

    def _anew(self) -> None:
        """Take the tunnel down, and set it up again. LabError with the daemon's words when that fails."""
        gateway = self._lab.gateway("cgw")
        if gateway.list_sas():
            gateway.terminate(ike=IKE, force=True)
        gateway.initiate(CHILD, PATIENCE)

    async def _mend(self, _: Mapping[str, object]) -> str:
        await self._meddler.stop()
        if self._cut:
            await self._cut_or_mend({})
        await asyncio.to_thread(self._restore)
        return "all is as it was, and the tunnel is up"

    def _restore(self) -> None:
        for node, text in self._originals.items():
            self._lab.gateway(node).reload(text)
        self._originals.clear()
        if not (self._lab.cgw.established and self._lab.c4.established):
            self._anew()

    # -- the tunnel --------------------------------------------------------------------------------

    async def _rekey(self, form: Mapping[str, object], child: str | None = None) -> str:
        gateway = self._lab.gateway(str(form["end"]))
        await asyncio.to_thread(
            lambda: gateway.rekey(ike=None if child else self._peer(form), child=child, timeout=PATIENCE)
        )
        return f"{form['end']} has rekeyed the {'CHILD_SA' if child else 'IKE_SA'}"

    def _peer(self, form: Mapping[str, object]) -> str:
        """The name of an end's connection: each has the other's."""
        return "c4" if form["end"] == "cgw" else "cgw"

    async def _rekey_both(self, _: Mapping[str, object]) -> str:
        both = [self._rekey({"end": end}, CHILD) for end in ("cgw", "c4")]
        told = await asyncio.gather(*both, return_exceptions=True)
        return "; ".join(str(one) for one in told)

    async def _terminate(self, _: Mapping[str, object]) -> str:
        await asyncio.to_thread(lambda: self._lab.gateway("cgw").terminate(ike=IKE, timeout=PATIENCE))
        return "the IKE_SA is deleted"

    async def _initiate(self, _: Mapping[str, object]) -> str:
        await asyncio.to_thread(lambda: self._lab.gateway("cgw").initiate(CHILD, PATIENCE))
        return "the tunnel is up"

    async def _kill_worker(self, form: Mapping[str, object]) -> str:
        end = str(form["end"])
        workers = await asyncio.to_thread(_workers, self._lab.nodes[end])
        if not workers:
            raise LabError(f"{end} has no worker")
        os.kill(workers[0], signal.SIGKILL)
        return f"the worker {workers[0]} of {end} is killed"


def _workers(node: Namespace) -> list[int]:
    """The processes of a gateway that carry packets."""
    return [pid for pid in node.pids() if b"worker_main" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _impatient(text: str) -> str:
    """With liveness checks (RFC 7296 2.4), so that a cut is noticed soon."""
    return _patient(text).replace("mobike = ", f"dpd_delay = {LIVENESS}\nmobike = ", 1)


def _patient(text: str) -> str:
    return text.replace(f"dpd_delay = {LIVENESS}\n", "", 1)


def _with_selectors(text: str, networks: Mapping[str, str]) -> str:
    return _SELECTORS.sub(lambda found: f'{found[1]}_ts = ["{networks[found[1]]}"]', text)
