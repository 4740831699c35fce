"""Removes what is ours at clsact when the agent has died, also by SIGKILL: a small process that waits for its pipe.

Needed only where tcx is missing (below kernel 6.6), since a filter, unlike a link, outlives the process that made it.
Run as `python -m node_probe.guardian PREFIX`, what the names begin with; standard input is the pipe. For an agent
whose guardian died with it there is `node-probe clean`.
"""

import contextlib
import signal
import subprocess
import sys

from node_probe.filters import filter_prefix
from node_probe.namespaces import entered, list_namespaces
from node_probe.netlink import Netlink
from node_probe.owners import read_own_identity


def remove_filters(prefix: str) -> int:
    """Remove the filters named so in this network namespace and in all that can be seen; return how many.

    With them goes each clsact of ours that holds nothing, as after SIGKILL between qdisc and filter.
    """
    removed = 0
    for path in [None, *list_namespaces().values()]:
        # A namespace may end while we look; its filters end with it.
        with contextlib.suppress(OSError), entered(path), Netlink() as netlink:
            removed += len(netlink.remove_filters(lambda item: item.name.startswith(prefix)))
            netlink.remove_unused_qdiscs()
    return removed


class Guardian:
    """The agent's side: the process and the pipe whose end it waits for."""

    def __init__(self) -> None:
        """Start the process in a session of its own, so that a signal to the agent's group spares it."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "node_probe.guardian", filter_prefix(read_own_identity())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def is_alive(self) -> bool:
        """Return whether the process waits."""
        return self._process.poll() is None

    def dismiss(self) -> None:
        """Remove the filters here and now, and end the process: on a slow machine it may still be starting."""
        remove_filters(filter_prefix(read_own_identity()))
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()


def main() -> int:
    """Wait for the end of standard input, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    remove_filters(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
