"""Which files a control that was taken over can have opened: those of its configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ikepy.config.files import in_directory
from ikepy.daemon.privileged.files import Files, to_name


def content(files: Files, path: Path | str) -> bytes:
    fd = files.open(str(path))
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "ikepy.toml").write_text("config")
    (tmp_path / "etc" / "new.psk").write_text("new")
    (tmp_path / "elsewhere.psk").write_text("named")
    (tmp_path / "other.psk").write_text("other")
    return tmp_path


@pytest.fixture
def files(directory: Path) -> Files:
    return Files((str(directory / "etc" / "ikepy.toml"), str(directory / "elsewhere.psk")))


def test_what_was_read_and_what_is_beside_the_configuration(files: Files, directory: Path) -> None:
    assert content(files, directory / "etc" / "ikepy.toml") == b"config"
    assert content(files, directory / "etc" / "new.psk") == b"new"
    assert content(files, directory / "elsewhere.psk") == b"named"


@pytest.mark.parametrize("path", ["other.psk", "etc/../other.psk", "etc/link", "none", "etc"])
def test_nothing_else(files: Files, directory: Path, path: str) -> None:
    (directory / "etc" / "link").symlink_to(directory / "other.psk")
    with pytest.raises(OSError, match=r"restart the daemon|no regular file"):
        content(files, directory / path)


def test_a_config_map_whose_link_is_renamed(directory: Path) -> None:
    mount = directory / "mount"
    for version in ("1", "2"):
        (mount / version).mkdir(parents=True)
        (mount / version / "ikepy.toml").write_text(version)
    (mount / "data").symlink_to("1")
    (mount / "ikepy.toml").symlink_to("data/ikepy.toml")
    files = Files((str(mount / "ikepy.toml"),))
    assert content(files, mount / "ikepy.toml") == b"1"
    (mount / "new").symlink_to("2")
    (mount / "new").rename(mount / "data")
    assert content(files, mount / "ikepy.toml") == b"2"


def test_a_fifo_keeps_nobody(files: Files, directory: Path) -> None:
    os.mkfifo(directory / "etc" / "fifo")
    with pytest.raises(OSError, match="no regular file"):
        content(files, directory / "etc" / "fifo")


@pytest.mark.parametrize("path", ["/etc/ikepy.toml", "/ikepy.toml", str(Path.home() / "ikepy.toml")])
def test_a_directory_of_the_systems_or_a_users_own_is_not_opened(path: str) -> None:
    with pytest.raises(OSError, match="not one of the files that the start has read: restart"):
        content(Files((path,)), Path(path).parent / "passwd")


def test_patterns(files: Files, directory: Path) -> None:
    named = [str(directory / "etc" / "ikepy.toml"), str(directory / "etc" / "new.psk")]
    assert files.matching(str(directory / "etc" / "*")) == named
    for pattern in ("*.psk", "etc/../*", "*/*", "../*"):
        with pytest.raises(OSError, match="restart the daemon"):
            files.matching(str(directory / pattern))


def test_what_patterns_of_the_start_mean_now(directory: Path) -> None:
    """Of `/etc/ipsec.conf`, whose directory is not opened: `/etc/ipsec.d/cacerts/*`."""
    for name in ("d/ca", "d/other", "conf.d/a"):
        (directory / name).mkdir(parents=True)
    patterns = [f"{directory}/d/ca/*", f"{directory}/*.conf", f"{directory}/conf.d/*/*.conf"]
    files = Files(("/etc/ipsec.conf",), patterns)
    assert files.matching(patterns[0]) == []
    allowed = ["d/ca/new.pem", "b.conf", "conf.d/a/c.conf"]
    refused = ["d/other/x.pem", "d/x.pem", "other.psk", "conf.d/x.conf", "conf.d/a/x", "d/ca/../other/x.pem"]
    for name in (*allowed, *refused):
        (directory / name).write_text(name)
    assert [files.matching(one) for one in patterns] == [[str(directory / one)] for one in allowed]
    assert [content(files, directory / one).decode() for one in allowed] == allowed
    (directory / "d" / "ca" / "link").symlink_to(directory / "other.psk")
    (directory / "d" / "ca" / "beneath").symlink_to("new.pem")
    assert content(files, directory / "d" / "ca" / "beneath") == b"d/ca/new.pem"
    for name in (*refused, "d/ca/link"):
        with pytest.raises(OSError, match="restart the daemon"):
            content(files, directory / name)
    for pattern in (f"{directory}/*", f"{directory}/d/*/*", f"{directory}/d/other/*"):
        with pytest.raises(OSError, match="restart the daemon"):
            files.matching(pattern)


def test_a_directory_with_wildcards_in_its_own_name(directory: Path) -> None:
    """Beside the configuration also what the start has not looked for; elsewhere, what it has."""
    place, other = directory / "site[1]*", directory / "other[1]"
    for one in (place / "conf.d", other, directory / "other1"):
        one.mkdir(parents=True)
    named = [place / "ikepy.toml", place / "conf.d" / "new.conf", other / "ca.pem", directory / "secret"]
    for one in named:
        one.write_text(one.name)
    (other / "link.pem").symlink_to(named[3])
    own = Files((str(named[0]),), [in_directory(other, "*")])
    assert own.matching(in_directory(place / "conf.d", "*.conf")) == [str(named[1])]
    assert own.matching(in_directory(other, "*")) == [str(named[2]), str(other / "link.pem")]
    assert content(own, named[2]) == b"ca.pem"
    for pattern in (in_directory(directory / "other1", "*"), str(directory / "site*" / "*")):
        with pytest.raises(OSError, match="restart the daemon"):
            own.matching(pattern)
    with pytest.raises(OSError, match="restart the daemon"):
        content(own, other / "link.pem")


def test_which_files_are_named_beside_the_patterns(directory: Path) -> None:
    (directory / "conf.d").mkdir()
    included = [str(directory / "conf.d" / f"{'site' * 25}-{number:04}.conf") for number in range(3000)]
    link = directory / "conf.d" / "link.conf"
    link.symlink_to(directory / "other.psk")
    own, psk = str(directory / "conf.d" / "own.conf"), str(directory / "elsewhere.psk")
    named = to_name([own, *included, psk, str(link)], [f"{directory}/conf.d/*.conf"])
    assert named == [own, psk, str(link)]


def test_a_daemon_without_a_file_opens_none() -> None:
    with pytest.raises(OSError, match="not one of the files"):
        content(Files(()), "/etc/passwd")
