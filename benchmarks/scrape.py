"""What does a look at /metrics cost a gateway with a thousand connections, and how long does IKE wait for it?

    python -m benchmarks.scrape                       about a minute
    python -m benchmarks.scrape --connections 200

Two daemons as in `benchmarks.many`, all connections up. The wait is the event loop's longest lateness, which
the daemon measures itself; the CPU-seconds are those of its control process.
"""

from __future__ import annotations

import os
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_hex

import click
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.interrupt import on_sigterm
from benchmarks.many import CONNECTIONS, ENDING, connections, started, until_up
from ikepy.lab.gateway import Gateway, document
from ikepy.lab.pair import Pair

PORT = 9427
HTTP = f'\n[daemon.http]\nlisten = "127.0.0.1:{PORT}"\nstrongswan_names = '
QUIET = 62.0  # seconds: the daemon remembers the worst lateness of a minute
LOOKS = 5
PAUSE = 15.0  # seconds between two looks, as Prometheus has it by default


def get() -> tuple[float, str]:
    """Seconds until the answer was there, and the answer."""
    begin = time.monotonic()
    client = HTTPConnection("127.0.0.1", PORT, timeout=30)
    client.request("GET", "/metrics")
    text = client.getresponse().read().decode()
    client.close()
    return time.monotonic() - begin, text


def value(text: str, name: str) -> float:
    """The only sample of this name."""
    families = text_string_to_metric_families(text)
    (found,) = (one.value for family in families for one in family.samples if one.name == name)
    return float(found)


def measure(count: int, strongswan: bool, directory: Path) -> None:
    """Print the figures."""
    secrets = [token_hex(24) for _ in range(count)]
    with Pair(f"scrape{os.getpid()}-") as ends:
        responder, initiator = (
            Gateway(where, directory / name) for where, name in ((ends.right, "r"), (ends.left, "i"))
        )
        try:
            started(responder, document(connections(count, secrets, initiator=False)))
            own = (
                document(connections(count, secrets, initiator=True)) + HTTP + str(strongswan).lower() + "\n"
            )
            begin = time.monotonic()
            started(initiator, own)
            until_up(initiator, count, begin)
            time.sleep(QUIET)
            looks = []
            for _ in range(LOOKS):
                looks.append(ends.left.inside(get))
                time.sleep(PAUSE)
        finally:
            for one in (initiator, responder):
                one.stop(patience=ENDING)
    texts = [text for _, text in looks]
    cpu = [value(text, "ikepy_control_cpu_seconds_total") for text in texts]
    print(f"{count} connections, /metrics every {PAUSE:.0f} s, {len(texts[0]) / 1e6:.1f} MB")
    print(f"an answer takes {min(seconds for seconds, _ in looks):.2f} s at best")
    lag = [value(text, "ikepy_event_loop_lag_seconds") for text in (texts[0], texts[-1])]
    print(f"the event loop's worst lateness: {lag[0]:.3f} s before, {lag[1]:.3f} s with it")
    print(f"CPU of control: {(cpu[-1] - cpu[0]) / (LOOKS - 1):.2f} s in {PAUSE:.0f} s")


@click.command(help=(__doc__ or "").split("\n", 1)[0])
@click.option(
    "--connections", "count", type=click.IntRange(1, 60_000), default=CONNECTIONS, show_default=True
)
@click.option("--strongswan-names", "strongswan", is_flag=True, help="With those metrics, too.")
def main(count: int, strongswan: bool) -> None:
    """Run it."""
    on_sigterm()
    with tempfile.TemporaryDirectory(prefix="ikepy-scrape-") as directory:
        measure(count, strongswan, Path(directory))


if __name__ == "__main__":
    main()
