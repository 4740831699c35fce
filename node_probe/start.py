"""The start that the agent and `top` have in common: programs loaded, rights given up, and an agent around them.

The rights are given up before there is a second thread: those that are started later have no others.
"""

import os
import resource
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from hopspan.logs import Log
from node_probe.agent import Agent
from node_probe.attach import Attacher
from node_probe.bpf import BpfMap, possible_cpus
from node_probe.capabilities import (
    Capability,
    check_host_rights,
    choose_kept,
    forbid_gains,
    give_up_all_but,
    needs_search,
    read_effective,
)
from node_probe.clean import clean_up
from node_probe.config import DEFAULT_CONTEXTS, PointSettings
from node_probe.programs import RING_BYTES, SWEEP, load_programs
from node_probe.ring import RingReader
from node_probe.support import check_platform, find_degraded_modes, find_tcx
from node_probe.sweep import sweep_transits
from node_probe.tables import TABLES
from node_probe.tally import Tally
from node_probe.transit import ContextFormat

# What may still have to be read after the start: a module, the interpreter (for the guardian), a library.
_OWN_FILES = (Path(__file__), Path(sys.executable), Path(msgspec.__file__))

_SETTINGS_BYTES = 16


class Loaded(msgspec.Struct, frozen=True):
    """What stands when the rights have been given up."""

    fds: Mapping[str, int]
    """The programs and maps by name."""
    pod: bool
    """Whether there may be pod points."""
    tcx: bool
    """Whether the kernel attaches by tcx."""

    @property
    def settings(self) -> BpfMap:
        """Return the programs' settings."""
        return BpfMap(self.fds["settings"], 4, _SETTINGS_BYTES)


def load_with_least_rights(points: PointSettings, log: Log, contexts: Iterable[str] = DEFAULT_CONTEXTS) -> Loaded:
    """Load the programs, which read these contexts, and give up every right that is not needed any more.

    To be called before there is a second thread. Raises HopspanError or OSError.
    """
    system = os.uname()
    check_platform(system.release, system.machine)
    rights = read_effective()
    check_host_rights(rights)
    forbid_gains()
    tcx = find_tcx()
    pod = points.pod and Capability.SYS_ADMIN in rights
    for mode, reason in find_degraded_modes(tcx=tcx, pod_wanted=points.pod, pod=pod):
        log.info(mode, reason=reason)
    if not tcx:
        # Where agent and guardian were killed together, as with a container, nobody has cleaned up.
        clean_up(lambda line: log.info("filters of dead agents", result=line))
    fds = load_programs(each for each in ContextFormat if each.label in contexts)
    kept = choose_kept(pod=pod, tcx=tcx)
    if needs_search(_OWN_FILES):
        kept |= {Capability.DAC_READ_SEARCH}
    give_up_all_but(kept, for_children=not tcx)
    log.debug("capabilities", kept=" ".join(sorted(c.label for c in kept)))
    return Loaded(fds, pod, tcx)


def make_agent(loaded: Loaded, log: Log) -> Agent:
    """Return an agent that reads the programs' ring; nothing is attached before its `run`."""
    raise_file_limit()
    fds = loaded.fds
    tables = {
        name: BpfMap(fds[table.tags], 4, table.set_bytes) for name, table in TABLES.items() if table.tags in fds
    }
    tally = Tally(BpfMap(fds["counters"], 4, 8 * possible_cpus()), tables)
    ring = RingReader(fds["ring"], RING_BYTES)
    attacher = Attacher(fds, log, tcx=loaded.tcx)
    return Agent(ring, partial(sweep_transits, fds[SWEEP]), attacher, tally, log)


def raise_file_limit() -> None:
    """Allow as many open files as the hard limit does: each point by tcx is a descriptor, four a pod."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
