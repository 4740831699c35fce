"""node-probe: composes the agent from its parts, and maps signals and errors to exit codes. Nothing else is here."""

import argparse
import os
import resource
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from hopspan.command import EXIT_FAILED, EXIT_OK, add_options, run_configured
from hopspan.errors import HopspanError
from hopspan.logs import Log, catch_library_logs
from hopspan.metrics import MetricsServer
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.sd_notify import Notifier
from hopspan.stop import StopRequest
from hopspan.version import VERSION
from node_probe.agent import Agent, Tally
from node_probe.attach import Attacher
from node_probe.backlog import Backlog, fit_bytes
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
from node_probe.clock import monotonic_ns, read_clock_id
from node_probe.config import PointSettings, ProbeConfig
from node_probe.governor import Governor
from node_probe.heartbeat import Heartbeat
from node_probe.programs import RING_BYTES, SWEEP, load_programs
from node_probe.report import read_health, read_metrics
from node_probe.ring import RingReader
from node_probe.sender import Sender
from node_probe.support import check_platform, find_degraded_modes, find_tcx
from node_probe.sweep import sweep_transits
from node_probe.tables import SET_BYTES
from node_probe.transit import NodeIdentity

PROGRAM = "node-probe"

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


def main(arguments: list[str] | None = None) -> int:
    """Run node-probe; return the exit code: 0, 1 where it cannot run, 2 where it was told something wrong."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Stamps traced packets and sends the transits.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "clean"),
        default="run",
        help="run the agent (the default, needs --config), or remove the tc filters that dead agents left",
    )
    add_options(parser, config_required=False)
    options = parser.parse_args(arguments)
    if options.command == "clean":
        return clean()
    if options.config is None:
        parser.error("the following arguments are required: --config")
    return run_configured(PROGRAM, options, ProbeConfig, _run)


def _run(config: ProbeConfig) -> int:
    log = Log(config.telemetry.logs.level)
    catch_library_logs(log)
    try:
        run(config, log)
    except (HopspanError, OSError) as error:
        log.error("node-probe cannot run", error=str(error))
        return EXIT_FAILED
    finally:
        log.close()
    return EXIT_OK


def clean() -> int:
    """Remove what dead agents left, and print it; return the exit code."""
    try:
        clean_up(print)
    except (HopspanError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def run(config: ProbeConfig, log: Log) -> None:
    """Run the agent until SIGTERM or SIGINT. Raises HopspanError or OSError."""
    notifier = Notifier()
    # Before the programs are compiled, which takes seconds: a request to stop is then met as soon as they are there.
    stopping = StopRequest()
    stopping.listen()
    raise_file_limit()
    loaded = load_with_least_rights(config.points, log)
    fds = loaded.fds
    exporter = OtlpGrpcExporter(config.exporters.otlp)
    tags = {"transits": fds["transit_tags"], "exchanges": fds["exchange_tags"]}
    tables = {name: BpfMap(fd, 4, SET_BYTES) for name, fd in tags.items()}
    tally = Tally(BpfMap(fds["counters"], 4, 8 * possible_cpus()), tables)
    ring = RingReader(fds["ring"], RING_BYTES)
    attacher = Attacher(fds, log, tcx=loaded.tcx)
    agent = Agent(ring, partial(sweep_transits, fds[SWEEP]), attacher, tally, log)
    agent.backlog = Backlog(fit_bytes(config.limits.memory_mib))
    agent.governor = Governor(config.limits.cpu, os.urandom(16))
    agent.heartbeat = Heartbeat(notifier)
    agent.stopping = stopping
    agent.identify(identify_node(config), VERSION)
    sender = Sender(agent.backlog, exporter, agent.make_request, tally, log)
    metrics = MetricsServer(
        config.telemetry.metrics.endpoint,
        lambda: read_metrics(agent),
        lambda: read_health(agent, sender, monotonic_ns()),
    )
    sender.start()
    try:
        settings = BpfMap(fds["settings"], 4, _SETTINGS_BYTES)
        agent.run(settings, config.points.exclude, config.points.rate_limit, pod=loaded.pod)
    finally:
        notifier.stopping()
        sender.stop()
        metrics.close()
        exporter.close()
        log.info("stopped", **summarise(tally))


def load_with_least_rights(points: PointSettings, log: Log) -> Loaded:
    """Load the programs and give up every right that is not needed any more, before there is a second thread.

    Raises HopspanError or OSError.
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
    fds = load_programs()
    kept = choose_kept(pod=pod, tcx=tcx)
    if needs_search(_OWN_FILES):
        kept |= {Capability.DAC_READ_SEARCH}
    give_up_all_but(kept, for_children=not tcx)
    log.debug("capabilities", kept=" ".join(sorted(c.label for c in kept)))
    return Loaded(fds, pod, tcx)


def raise_file_limit() -> None:
    """Allow as many open files as the hard limit does: each point by tcx is a descriptor, four a pod."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def summarise(tally: Tally) -> Mapping[str, int]:
    """Return all counts, as they go to the log's last line."""
    kernel = {counter.label: value for counter, value in tally.read_kernel().items()}
    return kernel | {key.value: value for key, value in [*tally.events.read().items(), *tally.reasons.read().items()]}


def identify_node(config: ProbeConfig) -> NodeIdentity:
    """Return what the transits say of this node."""
    host_name = socket.gethostname()
    kubernetes_name = os.environ.get("NODE_NAME", "")
    machine_id = Path("/etc/machine-id")
    return NodeIdentity(
        name=config.node.name or kubernetes_name or host_name,
        host_id=machine_id.read_text().strip() if machine_id.exists() else "",
        host_name=host_name,
        clock_id=read_clock_id(),
        k8s_node_name=kubernetes_name,
    )


if __name__ == "__main__":
    sys.exit(main())
