"""`ikepy pki pkcs12`: containers of a private key and certificates (RFC 7292), made, listed, taken apart."""

from __future__ import annotations

from pathlib import Path

import click

from ikepy.control.options import examples
from ikepy.pki import containers, files, options


@click.command(
    epilog=examples(
        "ikepy pki pkcs12 --key user.key --cert user.crt --cacert sub.crt --password-file pw --out user.p12",
        "ikepy pki pkcs12 --list --in user.p12 --password-file pw",
        "ikepy pki pkcs12 --export 1 --in user.p12 --password-file pw --out user.crt",
    )
)
@click.option("-i", "--in", "source", type=options.FILE, metavar="FILE", help="The container.")
@click.option("-l", "--list", "listed", is_flag=True, help="List what is in it.")
@click.option(
    "-e", "--export", type=click.IntRange(min=1), metavar="INDEX", help="Write what has this number."
)
@click.option("--key", type=options.FILE, metavar="FILE", help="Make a container, with this private key,")
@click.option("--cert", type=options.FILE, metavar="FILE", help="its certificate,")
@click.option("--cacert", multiple=True, type=options.FILE, metavar="FILE", help="and certificates of CAs.")
@click.option(
    "--password-file", type=options.FILE, metavar="FILE", help="Its password.  [default: ask for it]"
)
@options.output
@options.guarded
def pkcs12(
    source: Path | None,
    listed: bool,
    export: int | None,
    key: Path | None,
    cert: Path | None,
    cacert: tuple[Path, ...],
    password_file: Path | None,
    outform: str,
    out: Path | None,
    force: bool,
) -> None:
    """List and export what is in a PKCS#12 container, or make one."""
    making = key is not None
    if making == (source is not None) or (not making and listed == (export is not None)):
        raise ValueError("give --in with --list or --export, or --key with --cert and --out")
    if password_file is not None:
        password = options.read_password(password_file)
    else:
        password = click.prompt(
            "Password of the container", hide_input=True, confirmation_prompt=making, err=True
        ).encode()
    if key is not None:
        if cert is None:
            raise ValueError("give the key's certificate: --cert")
        private = options.read_private(key, None)
        others = [options.read_certificate(path) for path in cacert]
        made = containers.make(private, options.read_certificate(cert), others, password)
        options.write(made, out, force, private=True)
        return
    assert source is not None
    found = containers.items(files.read(source), password)
    if export is None:
        for number, item in enumerate(found, 1):
            click.echo(f"{number:>4}: {item.text}")
        return
    if export > len(found):
        raise ValueError(f"{source}: there is no {export}; it has {len(found)}")
    item = found[export - 1]
    options.write(item.encoded(outform), out, force, private=item.private)
