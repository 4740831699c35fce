"""The command `python -m testbed.kubernetes up|down|check`, for those who want to look at the cluster."""

import argparse
import signal
import sys

from testbed.errors import TestbedError
from testbed.interrupt import raise_on_terminate
from testbed.kubernetes.cluster import DIRECTORY, remove_cluster, two_node_kubernetes
from testbed.kubernetes.programs import find_program, missing_kubernetes

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def hold_up() -> int:
    """Hold the cluster up until Ctrl-C."""
    raise_on_terminate()
    if check():
        return EXIT_FAILED
    try:
        with two_node_kubernetes() as cluster:
            print(f"ready: {find_program('kubectl')} --kubeconfig {cluster.kubectl.kubeconfig}")
            print(f"logs: {DIRECTORY / 'logs'}; Ctrl-C ends it", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def take_down() -> int:
    """Remove what a killed run left."""
    remove_cluster()
    return 0


def check() -> int:
    """Name what this machine lacks, a line each."""
    missing = missing_kubernetes()
    for line in missing:
        print(line)
    return EXIT_FAILED if missing else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m testbed.kubernetes", description="A real Kubernetes with two nodes on one machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("up", hold_up), ("down", take_down), ("check", check)):
        commands.add_parser(name, help=function.__doc__).set_defaults(function=function)
    try:
        return int(parser.parse_args().function())
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
