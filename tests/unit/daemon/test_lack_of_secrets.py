"""What a running daemon says of connections that no secret fits: once, and at the cost of one look."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from ikepy.config.checks import secret_use
from ikepy.config.checks.secret_use import Notes
from ikepy.config.model import Config
from ikepy.daemon import log
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.fakes import connection

NAMES = tuple("abcdefghijklmnopqrst")


def configured(bed: Bed, *owners: str) -> Config:
    """A connection for each of NAMES, and a secret of each of these peers."""
    entries = {
        name: connection(
            name,
            **bed.local,
            remote_addrs=[f"192.0.2.{ord(name)}"],
            local={"id": "gw"},
            remote={"id": f"peer-{name}"},
        )
        for name in NAMES
    }
    secrets = {f"ike-{one}": {"ids": [one], "secret": "correct horse"} for one in owners}
    settings = bed.config.daemon.model_dump(exclude_unset=True)
    return Config.model_validate({"connections": entries, "secrets": secrets, "daemon": settings})


def test_the_secret_that_was_meant_is_looked_for_once(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs a look at all connections and secrets: with hundreds of them, IKE would wait meanwhile."""
    written, looks, look = StringIO(), list[int](), secret_use.strangers

    def counted(config: Config) -> Notes:
        looks.append(len(config.secrets))
        return look(config)

    async def scenario(bed: Bed) -> None:
        log.set_up("info", written)
        await bed.daemon.replace_config(configured(bed, "peer-b"))
        monkeypatch.setattr(secret_use, "strangers", counted)
        await bed.daemon.replace_config(configured(bed, "peer-b", "peer-cc"))
        assert not looks  # it changes nothing: all that have none are told already
        await bed.daemon.replace_config(configured(bed, "peer-cc"))
        assert looks == [1]
        await bed.daemon.replace_config(configured(bed))
        assert looks == [1]
        log.drain()

    run(Bed(control), scenario)
    log.close()
    lines = [line for line in written.getvalue().splitlines() if '"peer-b"' in line]
    assert len(lines) == 1
    assert "or is secrets.ike-peer-cc.ids[0] mistyped?" in lines[0]
    assert "9 more connections have no secret that fits" in written.getvalue()
