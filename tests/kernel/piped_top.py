"""A `node-probe top` of a made-up node whose output is a pipe."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.house.repository import ROOT
from tests.kernel.made_node import DEADLINE_S, find_python, wait_until
from tests.kernel.talking_node import POINTS, TalkingNode

EXCHANGES = 23
"""A prime number, as no accident would count."""


def command(node: TalkingNode, *options: str, wrapper: Sequence[str] = (), tree: Path = ROOT) -> list[str]:
    program = [str(find_python(tree)), "-m", "node_probe", "top", *options]
    return ["ip", "netns", "exec", node.node, *wrapper, *program]


class Piped:
    """A `top` whose output is a pipe."""

    def __init__(self, node: TalkingNode, *options: str) -> None:
        """Start it, and wait until all points are attached."""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command(node, *options), stdout=pipe, stderr=pipe, text=True, cwd=ROOT)
        wait_until(self._is_attached(node), "attached points")

    def _is_attached(self, node: TalkingNode) -> Any:
        def judge() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return node.attached() == POINTS

        return judge

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Wait for its end, after a signal if one is given; return code, output and errors."""
        if number is not None:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, output, errors


def read_counts(rows: Sequence[dict[str, Any]], name: str = "count") -> dict[tuple[str, str], int]:
    return {(row["direction"], row["hop"]): row[name] for row in rows}
