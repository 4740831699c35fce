"""node-probe: composes the agent from its parts, and maps signals and errors to exit codes. Nothing else is here."""

import argparse
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from hopspan.command import EXIT_FAILED, EXIT_OK, add_options, run_configured
from hopspan.errors import HopspanError
from hopspan.logs import Log, catch_library_logs
from hopspan.metrics import MetricsServer
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.sd_notify import Notifier
from hopspan.stop import StopRequest
from hopspan.version import VERSION
from node_probe.agent import Tally
from node_probe.backlog import Backlog, fit_bytes
from node_probe.clean import clean_up
from node_probe.clock import monotonic_ns, read_clock_id
from node_probe.config import PointSettings, ProbeConfig
from node_probe.governor import Governor
from node_probe.heartbeat import Heartbeat
from node_probe.points import render
from node_probe.report import read_health, read_metrics
from node_probe.sender import Sender
from node_probe.start import load_with_least_rights, make_agent
from node_probe.survey import survey_node
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
    agent.backlog = Backlog(fit_bytes(config.limits.memory_mib))
    agent.governor = Governor(config.limits.cpu, os.urandom(16))
    agent.heartbeat = Heartbeat(notifier)
    agent.stopping = stopping
    agent.identify(identify_node(config), VERSION)
    exporter = OtlpGrpcExporter(config.exporters.otlp)
    sender = Sender(agent.backlog, exporter, agent.make_request, agent.tally, log)
    metrics = MetricsServer(
        config.telemetry.metrics.endpoint,
        lambda: read_metrics(agent),
        lambda: read_health(agent, sender, monotonic_ns()),
    )
    sender.start()
    try:
        agent.run(loaded.settings, config.points.exclude, config.points.rate_limit, pod=loaded.pod)
    finally:
        notifier.stopping()
        sender.stop()
        metrics.close()
        exporter.close()
        log.info("stopped", **summarise(agent.tally))


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
