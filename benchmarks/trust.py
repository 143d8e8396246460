"""What does each way to prove oneself cost? Set-ups against ikepy and against charon, method by method.

    python -m benchmarks.trust                            about five minutes
    python -m benchmarks.trust --only ecdsa --count 500 --rounds 1

PSK, certificates with RSA-3072, ECDSA P-256 and Ed25519 (a root, an intermediate that is sent, both ends'
certificates), EAP-TLS with a gateway's certificate, and PSK with X25519 and ML-KEM-768 in an
IKE_INTERMEDIATE, which strongSwan 5.9.8 has not. A set-up is all exchanges to the first CHILD_SA. The
initiator is our IKE machine (`benchmarks.machine_initiator`) with one CPU to itself; it costs as much as a
gateway, so that the rate is the slower one's of the two. The responder has the other CPU: its CPU time is
what to compare. Bytes are those of all IP packets of a set-up, both ways. The limits that are there against
floods are off in both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import click

from benchmarks import alone
from benchmarks.initiator import FIRST_INNER
from benchmarks.machine_initiator import MachineInitiator
from benchmarks.report import Row, Target
from benchmarks.setting import Setting
from benchmarks.setups import CHARON, Timed, apart, timed
from esp.packet.selectors import Selector
from ikepy.config.model import Config
from ikepy.config.toml_source import load
from ikepy.crypto import private_keys, signatures
from ikepy.crypto.private_keys import LoadedKey
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.store import Store
from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan
from ikepy.pki import lab_set

COUNT = 200  # set-ups of a round
IN_FLIGHT = 8
WARM_UP = 10
REMOTE_TS = "10.128.0.0/9"
GATEWAY, CLIENT = "gw.bench", "client.bench"
PLUGINS = "pem pkcs1 pkcs8 x509 pubkey md5 eap-identity eap-tls"
PLAIN = "aes128gcm16-prfsha256-x25519"
PUBKEY = "pubkey"


@dataclass(frozen=True, slots=True)
class Method:
    """`gateway`, `client`: how these authenticate, in swanctl's words. `keys`: of the certificates, as
    `ikepy.pki` makes them."""

    name: str
    about: str
    gateway: str = PUBKEY
    client: str = PUBKEY
    keys: tuple[str, int | None] = ("ecdsa", 256)
    proposal: str = PLAIN
    charon: bool = True


METHODS = (
    Method("psk", "PSK", "psk", "psk"),
    Method("rsa", "RSA-3072", keys=("rsa", 3072)),
    Method("ecdsa", "ECDSA P-256"),
    Method("ed25519", "Ed25519", keys=("ed25519", None)),
    Method("eap-tls", "EAP-TLS, ECDSA P-256", PUBKEY, "eap-tls"),
    Method("mlkem", "PSK, X25519 + ML-KEM-768", "psk", "psk", proposal=f"{PLAIN}-ke1_mlkem768", charon=False),
)


@dataclass(frozen=True, slots=True)
class Material:
    """The certificates and keys of one method, in a directory with swanctl's names."""

    directory: Path

    @classmethod
    def make(cls, method: Method, directory: Path) -> Material:
        made = lab_set.make([GATEWAY, CLIENT], kind=method.keys[0], size=method.keys[1])
        made.write(directory)
        for kind, names in {
            "x509ca": ("root.crt", "ca.crt"),
            "x509": (f"{GATEWAY}.crt", f"{CLIENT}.crt"),
            "private": (f"{GATEWAY}.key", f"{CLIENT}.key"),
        }.items():
            (directory / kind).mkdir()
            for name in names:
                (directory / name).rename(directory / kind / name)
        return cls(directory)

    def give(self, to: Path, name: str) -> None:
        """What the gateway or the client of this name needs, into its directory."""
        for kind, names in {
            "x509ca": ("root.crt", "ca.crt"),
            "x509": (f"{name}.crt",),
            "private": (f"{name}.key",),
        }.items():
            (to / kind).mkdir(parents=True, exist_ok=True)
            for one in names:
                target = to / kind / one
                target.touch(0o600)
                target.write_bytes((self.directory / kind / one).read_bytes())

    def store(self, name: str) -> Store:
        """For a machine in this process: it holds its own private key."""

        def read(kind: str, file: str) -> bytes:
            return (self.directory / kind / file).read_bytes()

        own = certificate(read("x509", f"{name}.crt"))
        cas = tuple(certificate(read("x509ca", one)) for one in ("root.crt", "ca.crt"))
        data = read("private", f"{name}.key")
        made = Store(keys=HeldKey(private_keys.load(data)))
        made.known = Known((own,), Anchors(cas))
        return made


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One private key in this process."""

    key: LoadedKey
    certificates: tuple[bytes, ...] = ()

    def has(self, key_id: str) -> bool:
        return key_id == self.key.key_id

    def job(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        return lambda: signatures.sign(self.key.key, scheme, octets)

    def private_key(self, key_id: str) -> Secret | None:
        return self.key.pkcs8()


def section(who: str, auth: str, of: str) -> str:
    """One end's authentication, in TOML."""
    certs = f'certs = ["{of}.crt"]\n' if auth == PUBKEY and who == "local" else ""
    return f'[connections.net.{who}]\nauth = "{auth}"\nid = "{of}"\n{certs}'


def text(method: Method, *, responder: bool) -> str:
    """Our configuration, of either end."""
    local, remote = (GATEWAY, CLIENT) if responder else (CLIENT, GATEWAY)
    local_auth, remote_auth = (
        (method.gateway, method.client) if responder else (method.client, method.gateway)
    )
    ports = "" if responder else "\nlocal_port = 4500\nremote_port = 4500"
    whole = gateway.Connection(
        local_addrs=(pair.RIGHT if responder else pair.LEFT,),
        remote_addrs=("%any",) if responder else (pair.RIGHT,),
        local_id=local,
        remote_id=remote,
        proposals=(method.proposal,),
        local_ts=(pair.RIGHT_NET if responder else REMOTE_TS,),
        remote_ts=(REMOTE_TS if responder else pair.RIGHT_NET,),
        routes=(REMOTE_TS if responder else pair.RIGHT_NET,),
        extra=f'encap = true\nunique = "never"{ports}',
        daemon="cookie_threshold = 0\ncookie_threshold_ip = 0\nblock_threshold = 0\nstrangers_cpu = 0\n",
    ).text()
    for who, auth, of in (("local", local_auth, local), ("remote", remote_auth, remote)):
        whole = whole.replace(f'[connections.net.{who}]\nauth = "psk"\nid = "{of}"\n', section(who, auth, of))
    return whole


def many(config: Config, count: int) -> Config:
    """So many connections like its only one, each with an inner address of its own."""
    connection = config.connections["net"]
    child = connection.children["net"]
    made = {}
    for number in range(count):
        inner = int(IPv4Address(FIRST_INNER) + number)
        own = child.model_copy(update={"local_ts": (Selector(4, inner, inner),)})
        name = f"c{number}"
        made[name] = connection.model_copy(update={"name": name, "children": {"net": own}})
    return config.model_copy(update={"connections": made})


@contextmanager
def ours(bed: Pair, method: Method, material: Material, directory: Path) -> Iterator[None]:
    """Our daemon as the responder on the right."""
    material.give(directory, GATEWAY)
    with Gateway(bed.right, directory) as right:
        right.start(text(method, responder=True))
        yield


@contextmanager
def theirs(bed: Pair, method: Method, material: Material, directory: Path) -> Iterator[None]:
    """charon as the responder on the right."""
    material.give(directory, GATEWAY)
    made = strongswan.Connection(
        local_addrs=pair.RIGHT,
        local_id=GATEWAY,
        remote_id=CLIENT,
        local_ts=pair.RIGHT_NET,
        remote_ts=REMOTE_TS,
        proposals=method.proposal,
        options={"unique": "never"},
    ).text()
    certs = f"certs = {GATEWAY}.crt" if method.gateway == PUBKEY else ""
    before, heading, after = made.partition(" local {")
    made = before + heading + after.replace("auth = psk", f"auth = {method.gateway}\n{certs}", 1)
    before, heading, after = made.partition(" remote {")
    made = before + heading + after.replace("auth = psk", f"auth = {method.client}", 1)
    right = StrongSwan(
        bed.right, directory, install_routes=False, quick_log=True, options=CHARON, plugins=PLUGINS
    )
    try:
        right.start(made)
        yield
    finally:
        right.stop()


RESPONDERS = {"ikepy": ours, "charon": theirs}


@dataclass(frozen=True, slots=True)
class Round:
    """`octets`: of all packets of all set-ups."""

    count: int
    up: Timed
    octets: int


def one_round(setting: Setting, method: Method, responder: str, count: int, in_flight: int) -> Round:
    """A fresh bed. LabError if it does not work."""
    with (
        Pair(setting.prefix) as bed,
        tempfile.TemporaryDirectory(prefix="ikepy-bench-") as name,
    ):
        directory = Path(name)
        material = Material.make(method, directory / "made")
        material.give(directory / "client", CLIENT)
        file = directory / "client" / "ikepy.toml"
        file.touch(0o600)
        file.write_text(text(method, responder=False))
        config = many(load(file), WARM_UP + count)
        names = list(config.connections)
        with RESPONDERS[responder](bed, method, material, directory / responder):
            store = material.store(CLIENT)
            made = bed.left.inside(lambda: MachineInitiator(config, pair.LEFT, pair.RIGHT, store))
            with apart(bed.right), closing(made) as initiator:
                initiator.set_up(names[:WARM_UP], in_flight)
                before = initiator.octets
                up = timed(bed.right, lambda: initiator.set_up(names[WARM_UP:], in_flight))
                return Round(count, up, initiator.octets - before)


def rows(
    setting: Setting, count: int = COUNT, in_flight: int = IN_FLIGHT, only: Sequence[str] = ()
) -> list[Row]:
    """For each method: rate, CPU time and bytes of a set-up."""
    made: list[Row] = []
    for method in METHODS:
        if only and method.name not in only:
            continue
        found: dict[str, list[Round]] = {"ikepy": [], "charon": []}
        for number in range(1, setting.rounds + 1):
            for name, rounds in found.items():
                if name == "charon" and not method.charon:
                    continue
                setting.say(f"  {method.about}, round {number} of {setting.rounds}: {name}")
                asked = count // 10 if setting.quick else count
                rounds.append(one_round(setting, method, name, asked, in_flight))
        made += _rows(method, found["ikepy"], found["charon"])
    return made


def _rows(method: Method, own: list[Round], other: list[Round]) -> list[Row]:
    def row(what: str, unit: str, figure: Callable[[Round], float], target: Target | None = None) -> Row:
        return Row(
            f"{method.about}: {what}",
            unit,
            [figure(one) for one in own],
            [figure(one) for one in other],
            target if other else None,
        )

    half = Target(0.5)
    return [
        row("set-ups", "a second", lambda one: one.count / one.up.seconds, half),
        row("CPU of a set-up", "ms", lambda one: 1000 * one.up.cpu / one.count, Target(2, at_most=True)),
        row("on the wire", "bytes", lambda one: one.octets / one.count),
    ]


@click.command()
@click.option("--count", type=click.IntRange(1), default=COUNT, show_default=True, help="Set-ups of a round.")
@click.option("--in-flight", type=click.IntRange(1), default=IN_FLIGHT, show_default=True, help="At a time.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", multiple=True, type=click.Choice([one.name for one in METHODS]), help="A method.")
def main(count: int, in_flight: int, rounds: int, only: tuple[str, ...]) -> None:
    """Set-ups by each method of authentication: ours and charon's."""
    found = partial(rows, count=count, in_flight=in_flight, only=only)
    alone.run("trust", "ikt", rounds, found, f"{count} set-ups a round")


if __name__ == "__main__":
    main()
