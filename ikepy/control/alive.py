"""`python -m ikepy.control.alive [SOCKET]`: whether the daemon answers at its control socket.

For a container's liveness probe: no other host can keep it from being answered, as one can by connecting to
the metrics' port without end. Ends with status 1, and the reason, where there is no answer within seconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ikepy.control.client import DEFAULT_SOCKET, SILENCE, Client, ClientError


def main() -> int:
    """The exit status. The socket is the argument, IKEPY_SOCKET or the default one."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("IKEPY_SOCKET") or DEFAULT_SOCKET)
    try:
        with Client(path) as client:
            client.request("version", timeout=SILENCE)
    except ClientError as error:
        print(f"ikepy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
