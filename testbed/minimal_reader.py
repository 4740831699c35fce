"""A process that attaches hopspan's programs to its node and reads the ring, and does nothing with what it reads.

What it costs is what the kernel side costs, with the least reader that keeps the ring from filling. Run inside a
node's namespace: `python -m testbed.minimal_reader [--keep FILE]`. SIGTERM ends it; its last line is JSON.
"""

import argparse
import json
import resource
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from hopspan.logs import Log
from hopspan.stop import StopRequest
from node_probe.agent import READ_INTERVAL_S, write_settings
from node_probe.attach import Attacher
from node_probe.bpf import BpfMap, possible_cpus
from node_probe.device_dump import list_devices
from node_probe.devices import plan_points
from node_probe.programs import PROGRAMS, RING_BYTES, load_programs
from node_probe.ring import RingReader
from node_probe.support import find_tcx
from node_probe.tally import Tally
from testbed.kernel_facts import read_program_facts

UNREACHED_RATE = 1 << 30
"""Transits a second: without a limit the programs would be spared the look-up that nodes pay for."""

READY_LINE = "reader ready"
_NO_LIMIT = 1 << 30
_KIB_PER_MIB = 1024


def main() -> int:
    """Attach, read until SIGTERM, and print what was counted."""
    parser = argparse.ArgumentParser(prog="minimal_reader", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the records there, one after the other")
    options = parser.parse_args()
    stopping = StopRequest()
    stopping.listen()
    fds = load_programs()
    attacher = Attacher(fds, Log(), tcx=find_tcx())
    with ExitStack() as stack:
        kept = stack.enter_context(options.keep.open("wb")) if options.keep else None
        stack.callback(attacher.close)
        attach(attacher, BpfMap(fds["settings"], 4, 16))
        records = read_until(stopping, RingReader(fds["ring"], RING_BYTES), kept)
        counters = Tally(BpfMap(fds["counters"], 4, 8 * possible_cpus())).read_kernel()
    report: dict[str, Any] = {
        "records": records,
        "counters": {counter.label: value for counter, value in counters.items() if value},
        "programs": {name: read_program_facts(fds[name]) for name in PROGRAMS},
        "compile_child_peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / _KIB_PER_MIB,
    }
    sys.stdout.write(f"{json.dumps(report)}\n")
    return 0


def attach(attacher: Attacher, settings: BpfMap) -> None:
    """Attach all points of the node, with a rate limit that is looked up and never reached."""
    plan = plan_points(list_devices(), (), pod=True)
    write_settings(settings, plan, UNREACHED_RATE)
    more = True
    while more:
        if attacher.apply(plan):
            raise RuntimeError("not all points could be attached")
        more = attacher.has_more
    sys.stdout.write(f"{READY_LINE}: {len(attacher.attached)} points\n")
    sys.stdout.flush()


def read_until(stopping: StopRequest, ring: RingReader, kept: BinaryIO | None) -> int:
    """Read and discard, or keep; return how many records there were."""
    total = 0
    last = False
    while not last:
        last = stopping.wait(READ_INTERVAL_S)
        records = ring.read(_NO_LIMIT)
        total += len(records)
        if kept is not None:
            kept.writelines(records)
    return total


if __name__ == "__main__":
    sys.exit(main())
