"""Counts packets that pass kube-proxy's rules, by a rule at their head that matches all and does nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from testbed.command import run_in_namespace
from testbed.errors import TestbedError
from testbed.faults import ruled
from testbed.topology import NODES, Node

_TABLE, _CHAIN = "nat", "KUBE-SERVICES"
_RULE = ("-m", "comment", "--comment", "passages")


@contextmanager
def counted_passages() -> Iterator[Callable[[], int]]:
    """Hold the rules; yield what tells how many packets passed so far on all nodes together. Raises TestbedError."""
    with ExitStack() as stack:
        for node in NODES:
            stack.enter_context(ruled(node.namespace, _TABLE, _CHAIN, *_RULE))
        yield lambda: sum(_read_count(node) for node in NODES)


def _read_count(node: Node) -> int:
    text = run_in_namespace(node.namespace, ["iptables", "-w", "-t", _TABLE, "-v", "-x", "-n", "-L", _CHAIN, "1"])
    if (found := re.match(r"\s*(\d+) ", text)) is None:
        raise TestbedError(f"iptables of {node.name} tells no count: {text.strip()}")
    return int(found[1])
