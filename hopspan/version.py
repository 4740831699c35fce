"""The version of this installation, as the package's metadata has it."""

from importlib import metadata


def read_version() -> str:
    """Return the installed version, or `0.0.0+unknown` where the code runs from a tree that was never installed."""
    try:
        return metadata.version("hopspan")
    except metadata.PackageNotFoundError:
        return "0.0.0+unknown"


VERSION = read_version()
