"""The privileged process itself, and a control that asks for what it may not: it refuses, and goes on."""

from __future__ import annotations

import array
import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ikepy.daemon.privileged import client, codec, pair
from ikepy.daemon.privileged.client import Privileged
from ikepy.daemon.privileged.desk import Desk
from ikepy.daemon.privileged.main import answer_one, encoded
from ikepy.daemon.privileged.requests import (
    Begin,
    BeginNames,
    Done,
    EndExemption,
    EndExemptions,
    Exempt,
    Failed,
    KillWorker,
    Made,
    MakeDevice,
    OpenEcho,
    OpenFile,
    OpenUdp,
    Perform,
    Performed,
    ReapWorker,
    Refusal,
    RenameDevice,
    Request,
    SetPriority,
    SizeQueue,
    StartWorker,
    Steer,
    Told,
)
from ikepy.daemon.privileged.separated import SeparatedFiles
from ikepy.daemon.process.launcher import WorkerLauncher
from tun import network
from tun.device import TunDevice
from tun.rtnetlink import Hop
from tun.state import AddAddress, AddRoute, Operation, Route, SetCarrier, SetMtu, SetUp
from tun.steering import HostFlow

LOOPBACK = ip_address("127.0.0.1")


def begin(*ports: int) -> Begin:
    return Begin(ports, 1, 1, None, (), (), (), True, 7)


@pytest.fixture
def free() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def privileged(free: int) -> Iterator[Privileged]:
    process = Privileged.start()
    try:
        process.begin(begin(free))
        yield process
    finally:
        process.close()


def refused(privileged: Privileged, request: Request, code: int = errno.EPERM) -> str:
    with pytest.raises(OSError) as caught:
        privileged.ask(request, Done)
    assert caught.value.errno == code, caught.value
    return str(caught.value.strerror)


def test_a_socket_on_a_port_of_the_configuration_and_no_other(privileged: Privileged, free: int) -> None:
    request = OpenUdp(LOOPBACK, free, reuse_port=False, probe=False)
    with socket.socket(fileno=privileged.ask_for_descriptor(request, Done)[1]) as sock:
        assert sock.getsockname() == ("127.0.0.1", free)
        again = OpenUdp(LOOPBACK, free, reuse_port=False, probe=True)
        refused(privileged, again, errno.EADDRINUSE)
        privileged.ask(SizeQueue(prompt=True), Done, sock.fileno())
    privileged.do(OpenUdp(LOOPBACK, free, reuse_port=False, probe=True))
    for port in (0, 22, free + 1, -1, 99999):
        text = refused(privileged, OpenUdp(LOOPBACK, port, reuse_port=True, probe=False))
        assert text == f"the privileged process refuses: UDP port {port}"


LOOP = 1  # the index of lo


@pytest.mark.parametrize(
    "request_",
    [
        Perform(LOOP, (SetMtu(1400, 1500),), (), frozenset()),
        Perform(LOOP, (AddAddress(ip_interface("192.0.2.1/24"), None),), (), frozenset()),
        Perform(0, (SetUp(),), (), frozenset()),
        OpenEcho(LOOP, 4, None),
        RenameDevice(LOOP, "other"),
        Exempt(ip_address("224.0.0.1"), Hop(LOOP), None),
        Steer(LOOP, (HostFlow(ip_address("192.0.2.2"), 47),)),
    ],
    ids=lambda request: type(request).__name__,
)
def test_devices_of_others_are_left_alone(privileged: Privileged, request_: Request) -> None:
    assert "refuses" in refused(privileged, request_)


@pytest.mark.parametrize("name", ["", "x" * 16, "a/b", "..", "a%d", "lo\n", "\x00"])
def test_names_that_are_none(privileged: Privileged, name: str) -> None:
    assert "is no name for a device" in refused(privileged, MakeDevice(name), errno.EINVAL)


def test_other_processes_are_no_workers(privileged: Privileged) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        privileged.do(KillWorker(bystander.pid))
        assert privileged.ask(SetPriority(bystander.pid, busy=True), Told) == Told(None)
        refused(privileged, ReapWorker(bystander.pid), errno.ECHILD)
        assert bystander.poll() is None
        assert os.sched_getscheduler(bystander.pid) == os.SCHED_OTHER
        bystander.kill()


def test_files_that_were_not_read(privileged: Privileged) -> None:
    refused(privileged, OpenFile("/etc/shadow"), errno.EACCES)


def test_a_descriptor_that_is_no_socket_or_not_wanted(privileged: Privileged) -> None:
    with Path("/dev/null").open() as null:
        with pytest.raises(OSError, match="socket"):
            privileged.ask(SizeQueue(prompt=True), Done, null.fileno())
        with pytest.raises(OSError, match="not wanted"):
            privileged.ask(EndExemption(LOOPBACK), Done, null.fileno())
    refused(privileged, SizeQueue(prompt=True), errno.EBADMSG)
    refused(privileged, StartWorker(), errno.EBADMSG)


def test_workers_are_bounded(privileged: Privileged) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for _ in range(2):
            privileged.ask_for_descriptor(StartWorker(), object, theirs.fileno())
        with pytest.raises(OSError, match="too many workers"):
            privileged.ask(StartWorker(), Done, theirs.fileno())


class Raw:
    """The pair itself, to say what no client of ours would."""

    def __init__(self) -> None:
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ikepy.daemon.privileged.main", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
            )
        pair.send(self.sock, codec.encode(begin()))

    def say(self, data: bytes, fd: int | None = None) -> object:
        pair.send(self.sock, data, fd)
        received = pair.receive(self.sock)
        assert received is not None
        assert not received[1]
        return codec.decode(received[0], Failed)

    def close(self) -> None:
        self.sock.close()
        assert self.process.wait(10) == 0


@pytest.fixture
def raw() -> Iterator[Raw]:
    process = Raw()
    try:
        yield process
    finally:
        process.close()


def test_nonsense_is_answered_and_leaves_no_descriptor(raw: Raw) -> None:
    raw.say(b"[]")
    before = len(list(Path(f"/proc/{raw.process.pid}/fd").iterdir()))
    with Path("/dev/null").open() as null:
        for data in (b"\x00", b"[" * 60000, b"x" * 100_000, codec.encode(begin()), b'["SizeQueue", 1]'):
            assert isinstance(raw.say(data, null.fileno()), Failed)
        many = array.array("i", [null.fileno()] * 200)
        raw.sock.sendmsg([b"[]"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, many)])
        assert pair.receive(raw.sock) is not None
    raw.say(b"[]")
    assert len(list(Path(f"/proc/{raw.process.pid}/fd").iterdir())) == before


ADDRESSES = st.sampled_from([ip_address("192.0.2.1"), ip_address("2001:db8::1"), ip_address("0.0.0.0")])
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 70000)
ROUTES = st.builds(
    Route,
    st.just(ip_network("10.0.0.0/8")),
    NUMBERS,
    NUMBERS,
    st.none() | ADDRESSES,
    NUMBERS,
    st.none() | ADDRESSES,
)
OPERATIONS: st.SearchStrategy[Operation] = (
    st.builds(SetMtu, NUMBERS, NUMBERS)
    | st.builds(SetCarrier, st.booleans())
    | st.builds(AddRoute, ROUTES)
    | st.builds(AddAddress, st.just(ip_interface("192.0.2.1/24")), st.none() | ADDRESSES)
)
# But for those that would be granted: exemptions, and devices' names that can be.
HOSTILE: st.SearchStrategy[Request] = (
    st.builds(RenameDevice, NUMBERS, st.text(max_size=30))
    | st.builds(
        Perform,
        NUMBERS,
        st.lists(OPERATIONS, min_size=1, max_size=5).map(tuple),
        st.just(()),
        st.just(frozenset()),
    )
    | st.builds(MakeDevice, st.text(min_size=16, max_size=30))
    | st.builds(OpenUdp, ADDRESSES, NUMBERS, st.booleans(), st.booleans())
    | st.builds(ReapWorker, NUMBERS)
    | st.builds(OpenFile, st.text(max_size=30))
)


@given(request=HOSTILE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_for_is_refused(request: Request) -> None:
    desk = Desk(begin(500, 4500))
    answer, fd = answer_one(desk, codec.encode(request), [])
    if isinstance(request, OpenUdp) and request.port in (500, 4500):
        pair.close([] if fd is None else [fd])
        return
    assert isinstance(answer, Failed), answer
    assert fd is None


def test_it_ends_with_control_and_removes_its_sockets(tmp_path: Path) -> None:
    path, other = tmp_path / "s", tmp_path / "other"
    for each in (path, other):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(each))
    process = Privileged.start()
    sockets = ((str(path), path.stat().st_ino), (str(other), path.stat().st_ino))
    process.begin(Begin((), 1, 1, None, sockets, (), (), True, 7))
    refused(process, OpenUdp(LOOPBACK, 1, reuse_port=False, probe=True))
    process.close()
    assert not Path(f"/proc/{process.pid}").exists()
    assert not path.exists()
    assert other.exists()  # it is somebody else's now


def test_a_request_after_its_end_is_an_error() -> None:
    process = Privileged.start()
    process.begin(begin())
    os.kill(process.pid, 9)
    for _ in range(2):
        with pytest.raises(OSError, match="the privileged process has ended"):
            process.do(EndExemption(LOOPBACK))
    process.close()


def test_one_that_stands_still_is_asked_nothing_more_though_control_may_not_kill_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_: object) -> None:
        raise PermissionError(errno.EPERM, "root's")

    async def scenario() -> tuple[int, list[str]]:
        process = Privileged.start()
        process.begin(begin())
        told: list[str] = []
        process.watch(told.append)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with monkeypatch.context() as patched:
                patched.setattr(subprocess.Popen, "kill", forbidden)
                with pytest.raises(TimeoutError):
                    process.do(EndExemption(LOOPBACK))
                await asyncio.sleep(0)
                os.kill(process.pid, signal.SIGCONT)
                with pytest.raises(OSError, match="the privileged process has ended"):
                    process.do(EndExemption(LOOPBACK))  # not answered by what belongs to the first
        finally:
            os.kill(process.pid, signal.SIGCONT)
            process.close()
        return process.pid, told

    monkeypatch.setattr(client, "PATIENCE", 0.5)
    monkeypatch.setattr(client, "GOODBYE", 30.0)  # it may still load
    pid, told = asyncio.run(scenario())
    assert told == ["no answer within 0.5 s"]
    assert not Path(f"/proc/{pid}").exists(), "it ends with the pair"


def test_as_many_files_as_there_are(tmp_path: Path) -> None:
    directory = tmp_path / "conf.d"
    directory.mkdir()
    names = [str(directory / f"{'site' * 25}-{number:04}.conf") for number in range(1500)]
    for name in names:
        Path(name).touch()
    process = Privileged.start()
    try:
        process.begin(Begin((), 1, 1, None, (), (str(directory / "ikepy.toml"),), (), True, 7))
        assert SeparatedFiles(process).matching(str(directory / "*.conf")) == names
    finally:
        process.close()


def test_as_many_files_and_patterns_as_the_configuration_names(tmp_path: Path) -> None:
    """Each `secret_file` and each `include` is one."""
    own, last = tmp_path / "own" / "ikepy.toml", tmp_path / "last.psk"
    last.touch()
    files = [str(own), *(f"{tmp_path}/{'site' * 10}-{number:05}.psk" for number in range(9000)), str(last)]
    patterns = [f"{tmp_path}/conf.d/{number:05}/*.conf" for number in range(9000)]
    process = Privileged.start()
    try:
        process.begin(Begin((), 1, 1, None, (), tuple(files), tuple(patterns), True, 7))
        os.close(process.ask_for_descriptor(OpenFile(str(last)), Done)[1])
        refused(process, OpenFile(str(tmp_path / "other.psk")), errno.EACCES)
        assert SeparatedFiles(process).matching(patterns[-1]) == []
    finally:
        process.close()


def test_a_beginning_that_is_too_large_is_an_error_of_the_system() -> None:
    process = Privileged.start()
    try:
        with pytest.raises(OSError, match="at most") as caught:
            process.begin(begin(*range(codec.MAX_ITEMS + 1)))
        assert caught.value.errno == errno.EMSGSIZE
    finally:
        process.close()


@pytest.mark.parametrize("texts", [[], ["a"], ["a" * 4096] * 100, ["b"] * 20000, ["\udcff" * 1000] * 50])
def test_texts_in_parts_of_which_each_has_room_in_a_message(texts: list[str]) -> None:
    parts = list(codec.in_parts(texts))
    assert [one for part in parts for one in part] == texts
    for part in parts:
        assert part and codec.decode(codec.encode(BeginNames(part, ())), BeginNames).files == part


def test_a_device_whose_queue_can_not_be_sized_is_made_and_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(_: int) -> None:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    fd = os.open("/dev/null", os.O_RDONLY)
    monkeypatch.setattr(TunDevice, "create", lambda name: TunDevice(fd, name, 7))
    monkeypatch.setattr(network, "set_queue", no_memory)
    answer, given_fd = answer_one(Desk(begin()), codec.encode(MakeDevice("vti0")), [])
    assert (answer, given_fd) == (Made(7), fd)
    os.close(fd)


def test_an_answer_and_a_request_that_are_too_large_are_errors(privileged: Privileged) -> None:
    many = Performed(tuple(Refusal(number, 1, frozenset(range(1000))) for number in range(128)))
    assert codec.decode(encoded(many), Failed).code == errno.EMSGSIZE
    refused(privileged, MakeDevice("x" * codec.MAX_MESSAGE), errno.EMSGSIZE)


MODULES = {  # of ours
    *("ikepy", "ikepy.daemon", "ikepy.daemon.router"),
    *("ikepy.daemon.router.icmp_socket", "ikepy.daemon.router.messages"),
    *("ikepy.daemon.probe", "ikepy.daemon.probe.echo", "ikepy.daemon.probe.echo_socket"),
    *("ikepy.config", "ikepy.config.files", "ikepy.errors", "ikepy.wire", "ikepy.wire.constants"),
    "ikepy.daemon.privileged",
    *(f"ikepy.daemon.privileged.{one}" for one in ("codec", "desk", "files", "main", "pair", "requests")),
    "ikepy.daemon.process",
    *(f"ikepy.daemon.process.{one}" for one in ("account", "capabilities", "launcher", "priority")),
    *("esp", "esp.net", "esp.net.bpf", "esp.net.sockets"),
    *("tun", "tun.vxlan", "tun.vxlan_state"),
    *(f"tun.{one}" for one in ("carrier", "closing", "device", "exemptions", "links", "mss", "steering")),
    *(
        f"tun.{one}"
        for one in ("multipath", "netlink", "network", "point_to_point", "rtnetlink", "state", "virtio")
    ),
}
NEVER = {
    "numpy",
    "cryptography",
    "pydantic",
    "lark",
    "click",
    "tomllib",
    "prometheus_client",
    "h11",
}


def test_it_loads_little() -> None:
    code = "import sys, ikepy.daemon.privileged.main\nprint(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = {one for one in shown.split() if one.partition(".")[0] in ("ikepy", "esp", "tun")}
    assert loaded == MODULES
    assert not NEVER.intersection(shown.split())


def test_an_answer_that_is_none_is_an_error_of_the_system() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    privileged = Privileged(ours, process)
    with theirs:
        theirs.send(b"[1, 2]")
        with pytest.raises(OSError, match=r"no message|not expected") as caught:
            privileged.do(EndExemptions())
    assert caught.value.errno == errno.EBADMSG
    assert process.stdin is not None
    process.stdin.close()
    privileged.close()


def test_a_step_of_the_end_that_fails_leaves_out_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = tmp_path / "s"
    control.touch()
    desk = Desk(replace(begin(1), sockets=((str(control), control.stat().st_ino),)))

    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(WorkerLauncher, "close", lambda _: fail())
    with pytest.raises(OSError, match="broken"):
        desk.close()
    assert not control.exists()
