"""The testbed with nothing but the network between wrk and nginx: what questions 2 and 3 measure on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.demo import find_missing
from testbed.load import missing_commands, running_server
from testbed.network import two_nodes_vxlan
from testbed.process import ManagedProcess
from testbed.variants import running_sink


@dataclass(frozen=True)
class Bench:
    """What runs throughout."""

    work_dir: Path
    server: ManagedProcess
    """nginx in the cart's pod."""
    sink: ManagedProcess
    """Takes the agents' transits and looks into none."""
    endpoint: str
    """The sink's."""


def list_missing() -> list[str]:
    """Return what this machine lacks."""
    return find_missing() + missing_commands()


@contextmanager
def running_bench(work_dir: Path) -> Iterator[Bench]:
    """Hold network, server and sink; their files lie in the directory. Raises TestbedError."""
    work_dir.mkdir(parents=True, exist_ok=True)
    (work_dir / "nginx.pid").unlink(missing_ok=True)  # of a run that was killed: it would pass for a server's
    with two_nodes_vxlan(), running_server(work_dir) as server, running_sink(work_dir) as (sink, endpoint):
        yield Bench(work_dir, server, sink, endpoint)
