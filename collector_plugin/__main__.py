"""The command `collector-plugin`: reads the configuration, runs the plugin, and ends it on SIGTERM or SIGINT."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from collector_plugin.config import PluginConfig
from collector_plugin.plugin import Plugin
from hopspan.config import ConfigError, read_config
from hopspan.errors import HopspanError
from hopspan.logs import Log, catch_library_logs
from hopspan.stop import StopRequest
from hopspan.version import VERSION

PROGRAM = "collector-plugin"
EXIT_OK, EXIT_FAILED, EXIT_BAD_CONFIG = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parse_arguments(arguments)
    try:
        config = read_config(options.config, PluginConfig)
    except ConfigError as error:
        for fault in error.faults:
            print(f"{PROGRAM}: {options.config}: {fault}", file=sys.stderr)
        return EXIT_BAD_CONFIG
    if options.check_config:
        print(f"{options.config}: OK")
        return EXIT_OK
    try:
        run(config)
    except HopspanError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def run(config: PluginConfig) -> None:
    """Run the plugin until a signal ends it. Raises HopspanError where it cannot start."""
    stopping = StopRequest()
    stopping.listen()
    log = Log(config.telemetry.logs.level)
    catch_library_logs(log)
    plugin = Plugin(config, log)
    plugin.start()
    stopping.wait()
    plugin.stop()
    log.close()


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Joins spans with the transits of their packets, and injects the hops as spans."
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the configuration, a YAML file")
    parser.add_argument("--check-config", action="store_true", help="check the configuration and do nothing else")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
