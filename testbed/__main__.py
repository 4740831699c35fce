"""The command `python -m testbed up|down|check`."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError
from testbed.interrupt import raise_on_terminate
from testbed.lock import take_lock
from testbed.mesh import started_mesh
from testbed.network import remove_network, two_nodes_vxlan
from testbed.requirements import missing_requirements
from testbed.topology import CHECKOUT_URL, PLUGIN_ENDPOINT

WORK_DIRECTORY = Path("/run/hopspan-testbed")
"""Fixed, so that `down` finds what a killed `up` left."""

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def hold_up(work_dir: Path, plugin_endpoint: str) -> int:
    """Hold the testbed up until Ctrl-C."""
    raise_on_terminate()
    try:
        with two_nodes_vxlan(), _work_directory(work_dir), started_mesh(work_dir, plugin_endpoint) as mesh:
            _print(f"ready: {CHECKOUT_URL}; spans go to {plugin_endpoint}, logs to {work_dir}; Ctrl-C ends it")
            mesh.wait_for_failure()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return EXIT_FAILED


def take_down() -> int:
    """Remove what a killed run left."""
    with take_lock():
        remove_network()
        shutil.rmtree(WORK_DIRECTORY, ignore_errors=True)
    return 0


def check() -> int:
    """Name what this machine lacks, a line each."""
    missing = missing_requirements()
    for line in missing:
        _print(line)
    return EXIT_FAILED if missing else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testbed", description="Two nodes with an overlay on one machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help=hold_up.__doc__)
    up.add_argument("--work-dir", type=Path, default=WORK_DIRECTORY, help="logs and configurations; kept if given")
    up.add_argument("--plugin", default=PLUGIN_ENDPOINT, help="OTLP gRPC receiver of spans, as ADDRESS:PORT")
    commands.add_parser("down", help=take_down.__doc__)
    commands.add_parser("check", help=check.__doc__)
    options = parser.parse_args()
    try:
        if options.command == "up":
            return hold_up(options.work_dir, options.plugin)
        return take_down() if options.command == "down" else check()
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED


@contextmanager
def _work_directory(path: Path) -> Iterator[None]:
    """Remove the directory at the end, unless the user named it."""
    try:
        yield
    finally:
        if path == WORK_DIRECTORY:
            shutil.rmtree(path, ignore_errors=True)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
