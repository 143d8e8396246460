"""`ikepy probe`: tests other people's IKEv2."""

from __future__ import annotations

import click

from ikepy.control.options import examples
from ikepy.probe.conformance.command import conformance
from ikepy.probe.discovery.command import probe_host

_DEFAULT = "host"  # the subcommand that a host's name stands for


class Probe(click.Group):
    """`ikepy probe HOST` is `ikepy probe host HOST`, whatever options stand in front of HOST."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=Probe,
    subcommand_metavar="HOST | COMMAND [ARGS]...",
    epilog=examples(
        "ikepy probe 192.0.2.2                what it accepts, announces and answers",
        "ikepy probe host --help              the options of that",
        "ikepy probe conformance --help       test cases with a preshared key",
    ),
)
def probe() -> None:
    """Test an IKEv2 gateway: what a HOST accepts, and whether it does what the RFCs say.

    Only the host that is named is asked, slowly. Probe only what is yours, or whose owner has agreed to it.
    """


probe.add_command(probe_host)
probe.add_command(conformance)
