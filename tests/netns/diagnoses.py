"""What `ikepy status` says of a daemon in a namespace."""

from __future__ import annotations

import subprocess
import sys

from ikepy.control.status import Finding, ask
from tests.netns.gateways import Gateway
from tests.netns.namespaces import wait_until


def status(gateway: Gateway, *options: str) -> str:
    """What the command prints, to a pipe."""
    command = [sys.executable, "-m", "ikepy", "status", *options, "--socket", str(gateway.socket)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def owners(gateway: Gateway) -> dict[str, list[Finding]]:
    """The findings by connection, its children's included; "" has the daemon's."""
    told = ask(gateway.socket)
    by_name = {
        tunnel["connection"]: [
            *tunnel["findings"],
            *(f for one in tunnel["children"] for f in one["findings"]),
        ]
        for tunnel in told["tunnels"]
    }
    return {**by_name, "": told["findings"]}


def found(gateway: Gateway, connection: str, code: str, what: str = "") -> Finding:
    """The finding on a connection, once it is there and says `what`."""
    there: list[Finding] = []

    def is_it(one: Finding) -> bool:
        return one["code"] == code and what in one["what"]

    def is_there() -> bool:
        there[:] = owners(gateway)[connection]
        return any(is_it(one) for one in there)

    try:
        wait_until(is_there, f"{code} {what}")
    except AssertionError as error:
        raise AssertionError(f"{connection}: {error}; there is {there}\n{gateway.log()}") from None
    return next(one for one in there if is_it(one))


def up(gateway: Gateway) -> set[str]:
    """The connections with an installed child."""
    return {
        sa["connection"]
        for sa in gateway.list_sas()
        if any(child["state"] == "INSTALLED" for child in sa["children"])
    }
