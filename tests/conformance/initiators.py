"""Implementations under test as initiators, as processes in a namespace, and made to do what a case asks for.

left (probe) ==== right (under test) -- right_host, which answers echo requests
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from ipaddress import ip_address, ip_network
from pathlib import Path

from ikepy.lab import gateway, libreswan, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.libreswan import Libreswan
from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.strongswan import StrongSwan
from ikepy.probe.listen.profile import Action, Lifetimes, Profile
from ikepy.probe.listen.under_test import next_host
from ikepy.probe.verdict import Inconclusive, NotApplicable
from tests.conformance.set_ups import PATIENCE_S
from tests.interop.probing import SECRET, Family, write_certificates

_PATIENCE_S = 2.0
RETRANSMIT_S, RETRANSMIT_TRIES = 0.5, 2  # of every implementation


def remote_nets(profile: Profile, at: Family) -> list[str]:
    """The probe's selectors, of the first child and of the second, which not all profiles have."""
    if profile.endpoint:
        return [at.left]
    if profile.narrow:
        return [at.left_host, str(next_host(ip_address(at.left_host), ip_network(at.left_net)))]
    return [at.left_net]


_BY_CA = 'auth = "pubkey"\ncacerts = ["ca.crt"]'


class Initiator:
    """One implementation. `patience_s`, `ask`: of a `Trigger`."""

    patience_s = 0.0
    name = ""

    def __init__(self, namespace: Namespace, files: Path, at: Family) -> None:
        self.files = files
        self.at = at
        self._namespace = namespace
        self._loaded: Profile | None = None

    async def ask(self, action: Action, profile: Profile, case: str) -> None:
        """NotApplicable if this implementation can't do that, Inconclusive if it does not want to."""
        try:
            await asyncio.to_thread(self._do, action, profile)
        except LabError as error:
            raise Inconclusive(str(error)) from None

    def _do(self, action: Action, profile: Profile) -> None:
        if action == Action.STOP:
            self.forget()
            return
        if profile != self._loaded:
            self.configure(profile)
            self._loaded = profile
        deadline = time.monotonic() + _PATIENCE_S
        while True:  # our last answer may not have reached it yet
            try:
                self.do(action)
            except LabError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def configure(self, profile: Profile) -> None:
        """Take a configuration, and start with the first one."""
        raise NotImplementedError

    def do(self, action: Action) -> None:
        """What is asked for, without waiting for it."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all SAs, whether the tester hears of it or not."""
        raise NotImplementedError

    def log(self) -> str:
        """All that it has said."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it, and keep its files."""
        raise NotImplementedError


class Ikepy(Initiator):
    """Our own daemon."""

    name = "ikepy"

    def __init__(self, namespace: Namespace, files: Path, at: Family) -> None:
        super().__init__(namespace, files, at)
        self._gateway = Gateway(namespace, files)

    def configure(self, profile: Profile) -> None:
        if self._gateway.running:
            self._gateway.reload(self._text(profile))
        else:
            write_certificates(self.at, self.files)
            self._gateway.start(self._text(profile), PATIENCE_S)

    def _text(self, profile: Profile) -> str:
        first, *second = remote_nets(profile, self.at)
        lives = ""
        if profile.ike_sa is not None:
            over = profile.ike_sa.end_s - profile.ike_sa.rekey_s
            lives = f"rekey_time = {profile.ike_sa.rekey_s}\nover_time = {over}\nrand_time = 0\n"
        child = "".join(
            f"[connections.net.children.second]\nlocal_ts = {json.dumps([self.at.right_net])}\n"
            f"remote_ts = {json.dumps([net])}\nesp_proposals = {json.dumps(profile.esp)}\n"
            for net in second
        )
        return gateway.Connection(
            local_addrs=(self.at.right,),
            remote_addrs=(self.at.left,),
            local_id=profile.local_id or self.at.right,
            remote_id=profile.remote_id or self.at.left,
            proposals=profile.ike,
            esp_proposals=profile.esp,
            local_ts=(self.at.right_net,),
            remote_ts=(first,),
            secret=profile.secret or SECRET,
            mobike=False,
            extra=f"encap = true\nkeyingtries = 1\n{lives}",
            local_auth='auth = "psk"' if profile.auth == "psk" else 'auth = "pubkey"\ncerts = ["nut.crt"]',
            remote_auth='auth = "psk"' if profile.remote_auth == "psk" else _BY_CA,
            more='[secrets.private-nut]\nfile = "nut.key"\n' if profile.auth == "pubkey" else "",
            child_extra=f"{_child_lives(profile.child)}{child}",
            daemon=f"retransmit_timeout = {RETRANSMIT_S}\nretransmit_tries = {RETRANSMIT_TRIES}\n"
            'retransmit_base = 1.5\nretransmit_jitter = 0\nkeep_alive = 0\nlog_level = "debug"\n'
            "workers = 1\nold_secret_grace = 0\n",
        ).text()

    def do(self, action: Action) -> None:
        child = "second" if action == Action.NEW_CHILD else "net"
        if action in (Action.INITIATE, Action.NEW_CHILD):
            self._gateway.ask("initiate", {"child": child, "timeout": -1})
        else:
            named = {"child": "net"} if action == Action.REKEY_CHILD else {"ike": "net"}
            self._gateway.ask("rekey", named)

    def forget(self) -> None:
        if self._gateway.running:
            with contextlib.suppress(LabError):
                self._gateway.terminate(ike="net", force=True, timeout=2)

    def log(self) -> str:
        return self._gateway.log()

    def stop(self) -> None:
        self._gateway.stop(keep_files=True)


def _child_lives(times: Lifetimes | None) -> str:
    if times is None:
        return ""
    return f"rekey_time = {times.rekey_s}\nlife_time = {times.end_s}\nrand_time = 0\n"


class Charon(Initiator):
    """strongSwan, with its userspace ESP."""

    name = "strongswan"

    def __init__(self, namespace: Namespace, files: Path, at: Family) -> None:
        super().__init__(namespace, files, at)
        self._charon = StrongSwan(
            namespace,
            files,
            retransmit_timeout=RETRANSMIT_S,
            retransmit_base=1.5,
            retransmit_tries=RETRANSMIT_TRIES,
            options={"delete_rekeyed_delay": "1"},
            plugins=f"ctr {strongswan.PUBKEY_PLUGINS}",
        )

    def configure(self, profile: Profile) -> None:
        if not self._charon.running:
            write_certificates(self.at, self.files)
            self._charon.start()
        self._charon.load(self._text(profile))

    def _text(self, profile: Profile) -> str:
        first, *second = remote_nets(profile, self.at)
        options = {"mobike": "no", "keyingtries": "1", "rekey_time": "0"}
        if profile.ike_sa is not None:
            over = profile.ike_sa.end_s - profile.ike_sa.rekey_s
            options |= {
                "rekey_time": f"{profile.ike_sa.rekey_s}s",
                "over_time": f"{over}s",
                "rand_time": "0s",
            }
        lives = {"rekey_time": "0"}
        if profile.child is not None:
            lives = {
                "rekey_time": f"{profile.child.rekey_s}s",
                "life_time": f"{profile.child.end_s}s",
                "rand_time": "0s",
            }
        connection = strongswan.Connection(
            local_addrs=self.at.right,
            remote_addrs=self.at.left,
            local_id=profile.local_id or self.at.right,
            remote_id=profile.remote_id or self.at.left,
            proposals=",".join(profile.ike),
            esp_proposals=",".join(profile.esp),
            local_ts=self.at.right_net,
            remote_ts=first,
            secret=profile.secret or SECRET,
            options=options,
            child_options=lives,
            local_auth="auth = psk" if profile.auth == "psk" else "auth = pubkey\ncerts = nut.crt",
            remote_auth="auth = psk" if profile.remote_auth == "psk" else "auth = pubkey\ncacerts = ca.crt",
        )
        further = "".join(
            f"second {{\nlocal_ts = {self.at.right_net}\nremote_ts = {net}\n"
            f"esp_proposals = {','.join(profile.esp)}\nrekey_time = 0\n}}\n"
            for net in second
        )
        return connection.text().replace("children {\n", f"children {{\n{further}", 1)

    def do(self, action: Action) -> None:
        if action in (Action.INITIATE, Action.NEW_CHILD):
            child = "second" if action == Action.NEW_CHILD else "net"
            self._charon.swanctl("--initiate", "--child", child, "--timeout", "-1")
        elif action == Action.REKEY_CHILD:
            self._charon.rekey(child="net")
        else:
            self._charon.rekey(ike="net")

    def forget(self) -> None:
        if self._charon.running:
            with contextlib.suppress(LabError):
                self._charon.terminate(ike="net", force=True)

    def log(self) -> str:
        return self._charon.log()

    def stop(self) -> None:
        self._charon.stop(keep_files=True)


# swanctl's words to libreswan's.
_WORDS = {
    "aes128": "aes128",
    "aes256": "aes256",
    "aes128ctr": "aes_ctr128",
    "aes128gcm16": "aes_gcm128",
    "null": "null",
    "sha256": "sha2_256",
    "sha384": "sha2_384",
    "sha512": "sha2_512",
    "modp2048": "dh14",
    "modp3072": "dh15",
    "ecp256": "dh19",
    "ecp384": "dh20",
    "x25519": "dh31",
}


class Pluto(Initiator):
    """libreswan. Where the kernel has no ESP, none of its CHILD_SAs can be installed."""

    name = "libreswan"

    def __init__(self, namespace: Namespace, files: Path, at: Family) -> None:
        super().__init__(namespace, files, at)
        self._pluto = Libreswan(namespace, files)

    def configure(self, profile: Profile) -> None:
        connection = self._connection(profile)
        if self._pluto.running:
            self._pluto.replace(connection)
        else:
            self._pluto.start(connection)
            self._pluto.impair("revival:yes")  # which is: no revival
        self._pluto.impair(f"omit-v2-ike-auth-child:{'no' if profile.needs_child else 'yes'}")

    def _connection(self, profile: Profile) -> libreswan.Connection:
        if profile.narrow or "pubkey" in (profile.auth, profile.remote_auth):
            raise NotApplicable("the tests configure no second child and no certificates for libreswan")
        (net,) = remote_nets(profile, self.at)
        options = {
            "pfs": "yes" if any("modp" in one or "ecp" in one for one in profile.esp) else "no",
            "retransmit-timeout": f"{RETRANSMIT_S * 1000 * 4:.0f}ms",
            "retransmit-interval": f"{RETRANSMIT_S * 1000:.0f}ms",
            "keyingtries": "1",
            "encapsulation": "yes",
            "esn": _esn(profile.esp),
        }
        if profile.ike_sa is not None:
            margin = profile.ike_sa.end_s - profile.ike_sa.rekey_s
            options |= {"ikelifetime": f"{profile.ike_sa.end_s:.0f}s", "rekeymargin": f"{margin:.0f}s"}
            options |= {"rekeyfuzz": "0%"}
        return libreswan.Connection(
            left=self.at.right,
            right=self.at.left,
            left_id=profile.local_id or self.at.right,
            right_id=profile.remote_id or self.at.left,
            ike=",".join(map(_theirs, profile.ike)),
            esp=",".join(map(_theirs, profile.esp)),
            left_subnet=self.at.right_net,
            right_subnet=f"{net}/{128 if ':' in net else 32}" if profile.endpoint else net,
            secret=profile.secret or SECRET,
            options=options,
        )

    def do(self, action: Action) -> None:
        if action == Action.INITIATE:
            self._pluto.initiate()
        elif action == Action.REKEY_IKE:
            self._pluto.rekey_ike()
        else:
            raise NotApplicable("without ESP in the kernel libreswan has no CHILD_SA")

    def forget(self) -> None:
        if self._pluto.running:
            with contextlib.suppress(LabError):
                self._pluto.terminate()

    def log(self) -> str:
        return self._pluto.log()

    def stop(self) -> None:
        self._pluto.stop(keep_files=True)


def _esn(proposals: tuple[str, ...]) -> str:
    """The connection's `esn`, which holds for all proposals."""
    found = {tuple(sorted({"esn", "noesn"} & set(one.split("-")))) for one in proposals}
    if len(found) != 1:
        raise NotApplicable("libreswan has one choice of ESN for all proposals")
    (words,) = found
    return "either" if len(words) == 2 else "yes" if "esn" in words else "no"


def _theirs(proposal: str) -> str:
    """A proposal in libreswan's words, whose transforms of one type are joined by +."""
    kinds: dict[str, list[str]] = {}
    for word in proposal.split("-"):
        if word in ("esn", "noesn"):
            continue
        if word not in _WORDS:
            raise NotApplicable(f"libreswan has no word for {word}")
        kind = "dh" if _WORDS[word].startswith("dh") else "integ" if word.startswith("sha") else "encr"
        kinds.setdefault(kind, []).append(_WORDS[word])
    return "-".join("+".join(kinds[kind]) for kind in ("encr", "integ", "dh") if kind in kinds)


KINDS: dict[str, type[Initiator]] = {kind.name: kind for kind in (Ikepy, Charon, Pluto)}
