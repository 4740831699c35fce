"""node-probe: composes the agent from its parts, and maps signals and errors to exit codes. Nothing else is here."""

import argparse
import itertools
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from hopspan.command import EXIT_FAILED, EXIT_OK, add_options, run_configured
from hopspan.errors import HopspanError
from hopspan.flow_claims import Hello, encode_hello
from hopspan.logs import Log, catch_library_logs
from hopspan.metrics import MetricsServer
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.sd_notify import Notifier
from hopspan.stop import StopRequest
from hopspan.version import VERSION
from node_probe.backlog import Backlog, fit_bytes
from node_probe.claim_streams import ClaimStreams
from node_probe.clean import clean_up
from node_probe.clock import EpochReader, monotonic_ns, read_clock_id
from node_probe.config import PointSettings, ProbeConfig
from node_probe.flow_keeper import FlowKeeper
from node_probe.flow_report import list_flow_counts, read_flow_metrics
from node_probe.governor import Governor
from node_probe.heartbeat import Heartbeat
from node_probe.kept_flows import KeptFlows
from node_probe.points import render
from node_probe.report import read_health, read_metrics
from node_probe.sender import Sender
from node_probe.start import load_with_least_rights, make_agent
from node_probe.survey import survey_node
from node_probe.tally import Tally
from node_probe.transit import NodeIdentity

PROGRAM = "node-probe"


def main(arguments: list[str] | None = None) -> int:
    """Run node-probe; return the exit code: 0, 1 where it cannot run, 2 where it was told something wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["top"]:
        from node_probe import top  # noqa: PLC0415 - rich would be memory of every agent

        return top.main(PROGRAM, arguments[1:])
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Stamps traced packets and sends the transits.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "clean", "points", "top"),
        default="run",
        help="run the agent (the default, needs --config), remove the tc filters that dead agents left, print which "
        "devices were found and what would be attached, or show this node's hops live (see: top --help)",
    )
    parser.add_argument("--json", action="store_true", help="with points: print JSON, not a table")
    add_options(parser, config_required=False)
    options = parser.parse_args(arguments)
    if options.command == "top":
        parser.error("top comes before its options")
    if options.command == "clean":
        return clean()
    if options.json and options.command != "points":
        parser.error("--json goes with points alone")
    if options.command == "points" and options.config is None:
        return print_points(PointSettings(), as_json=options.json)
    if options.config is None:
        parser.error("the following arguments are required: --config")
    if options.command == "points":
        return run_configured(
            PROGRAM, options, ProbeConfig, lambda config: print_points(config.points, as_json=options.json)
        )
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


def print_points(settings: PointSettings, *, as_json: bool) -> int:
    """Print what was found and what would be attached; return the exit code."""
    try:
        survey = survey_node(settings.exclude, pod=settings.pod)
    except (HopspanError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(render(survey, as_json=as_json), end="")
    return EXIT_OK


def run(config: ProbeConfig, log: Log) -> None:
    """Run the agent until SIGTERM or SIGINT. Raises HopspanError or OSError."""
    notifier = Notifier()
    # Before the programs are compiled, which takes seconds: a request to stop is then met as soon as they are there.
    stopping = StopRequest()
    stopping.listen()
    loaded = load_with_least_rights(config.points, log, config.contexts)
    agent = make_agent(loaded, log)
    flow_mib = config.flows.memory_mib if config.keeps_flows else 0
    agent.backlog = Backlog(fit_bytes(config.limits.memory_mib - flow_mib))
    agent.governor = Governor(config.limits.cpu, os.urandom(16))
    agent.heartbeat = Heartbeat(notifier)
    agent.stopping = stopping
    node = identify_node(config)
    agent.identify(node, VERSION)
    flows = streams = None
    if config.keeps_flows:
        kept = KeptFlows(config.flows.memory_mib << 20, config.flows.keep)
        flows = agent.flows = FlowKeeper(kept, agent.tally, log, EpochReader().read)
        streams = make_streams(config, node, flows, log)
    exporter = OtlpGrpcExporter(config.exporters.otlp)
    sender = Sender(agent.backlog, exporter, agent.make_request, agent.tally, log)
    metrics = MetricsServer(
        config.telemetry.metrics.endpoint,
        lambda: itertools.chain(read_metrics(agent), read_flow_metrics(flows, streams)),
        lambda: read_health(agent, sender, monotonic_ns()),
    )
    sender.start()
    if streams is not None:
        streams.start()
    try:
        agent.run(loaded.settings, config.points.exclude, config.points.rate_limit, pod=loaded.pod)
    finally:
        notifier.stopping()
        if streams is not None:
            streams.stop()
        sender.stop()
        metrics.close()
        exporter.close()
        log.info("stopped", **summarise(agent.tally, flows))


def make_streams(config: ProbeConfig, node: NodeIdentity, flows: FlowKeeper, log: Log) -> ClaimStreams:
    """Return the streams of claims on the kept flows, which are not asked for yet. Raises HopspanError."""
    exporter = config.exporters.otlp
    hello = encode_hello(Hello(node.name, node.clock_id))
    return ClaimStreams(config.flows.plugins or (exporter.endpoint,), exporter, hello, flows.claims.add, log)


def summarise(tally: Tally, flows: FlowKeeper | None = None) -> Mapping[str, int]:
    """Return all counts, as they go to the log's last line."""
    kernel = {counter.label: value for counter, value in tally.read_kernel().items()}
    counts = [*tally.events.read().items(), *tally.reasons.read().items()]
    claims = list_flow_counts(flows) if flows is not None else {}
    return {**kernel, **{key.value: value for key, value in counts}, **claims}


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
