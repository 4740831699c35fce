"""The command `collector-plugin`: reads the configuration, runs the plugin, and ends it on SIGTERM or SIGINT."""

import argparse
import sys
from collections.abc import Sequence

from collector_plugin.allocator import keep_large_blocks_apart
from collector_plugin.config import PluginConfig
from collector_plugin.garbage import collect_seldom
from collector_plugin.grpc_polling import poll_in_one_thread
from hopspan.command import EXIT_FAILED, EXIT_OK, add_options, run_configured
from hopspan.errors import HopspanError
from hopspan.logs import Log, catch_library_logs
from hopspan.sd_notify import Notifier
from hopspan.stop import StopRequest

PROGRAM = "collector-plugin"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Joins spans with the transits of their packets, and injects the hops as spans."
    )
    add_options(parser, config_required=True)
    return run_configured(PROGRAM, parser.parse_args(arguments), PluginConfig, _run)


def _run(config: PluginConfig) -> int:
    try:
        run(config)
    except HopspanError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def run(config: PluginConfig) -> None:
    """Run the plugin until a signal ends it. Raises HopspanError where it cannot start."""
    keep_large_blocks_apart()
    poll_in_one_thread()
    # Behind that, since it imports gRPC.
    from collector_plugin.plugin import Plugin  # noqa: PLC0415

    notifier = Notifier()
    stopping = StopRequest()
    stopping.listen()
    log = Log(config.telemetry.logs.level)
    catch_library_logs(log)
    plugin = Plugin(config, log)
    plugin.start()
    collect_seldom()
    notifier.ready("receives by " + ", ".join(f"{name} at {place}" for name, place in plugin.endpoints.items()))
    # Twice as often as asked, as sd_watchdog_enabled(3) advises.
    interval_s = notifier.watchdog_ns / 2e9 or None
    while not stopping.wait(interval_s):
        if plugin.is_alive():
            notifier.beat()
    notifier.stopping()
    plugin.stop()
    log.close()


if __name__ == "__main__":
    sys.exit(main())
