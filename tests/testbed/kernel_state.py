"""What the kernel holds: BPF objects by bpf(2) and bpftool(8), and what others have put on a device by tc(8).

The observers are the kernel and the distribution's own tools. Changes nothing.
"""

import ctypes
import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_probe.bpf import call_bpf
from testbed.command import run_command
from testbed.deadline import wait_until
from tests.requirements import lack

OWN_FILTER_PREFIX = "hopspan-"
RELEASE_TIMEOUT_S = 60.0
"""The kernel frees programs and maps behind an RCU grace period, in a work queue."""

SIDES = ("ingress", "egress")

# The commands BPF_{PROG,MAP,LINK}_GET_NEXT_ID of linux/bpf.h.
_NEXT_PROGRAM = 11
_NEXT_MAP = 12
_NEXT_LINK = 31


class _NextId(ctypes.Structure):
    _fields_ = (("start_id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32))


@dataclass(frozen=True)
class BpfObjects:
    """Ids of BPF objects."""

    programs: frozenset[int]
    maps: frozenset[int]
    links: frozenset[int]

    def meets(self, other: "BpfObjects") -> bool:
        """Tell whether the two have an object in common."""
        return bool(self.programs & other.programs or self.maps & other.maps or self.links & other.links)


def require_tools() -> None:
    """Need bpftool and tc."""
    for tool, package in {"bpftool": "bpftool", "tc": "iproute2"}.items():
        if not shutil.which(tool):
            lack(f"{tool} is missing (package {package})")


def list_all_objects() -> BpfObjects:
    """Return what the kernel holds now, whoever made it.

    By ids alone: bpftool opens each map, and a prog_array that loses its last descriptor a second time, before the
    kernel's work queue has cleared it after the first, is never freed (seen on kernel 6.18).
    """
    return BpfObjects(*(frozenset(_list_ids(command)) for command in (_NEXT_PROGRAM, _NEXT_MAP, _NEXT_LINK)))


def list_held_objects(pid: int) -> BpfObjects:
    """Return what a process holds by its descriptors, and the maps that those programs use beside."""
    lines: list[str] = []
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(OSError):  # closed since it was listed
            lines += path.read_text().splitlines()
    found = {
        key: {int(line.partition(":")[2]) for line in lines if line.startswith(f"{key}:")}
        for key in ("prog_id", "map_id", "link_id")
    }
    programs = {item["id"]: item for item in _ask_bpftool("prog", "show") if item["id"] in found["prog_id"]}
    maps = {number for program in programs.values() for number in program.get("map_ids", ())}
    return BpfObjects(frozenset(programs), frozenset(found["map_id"] | maps), frozenset(found["link_id"]))


def wait_for_release(objects: BpfObjects) -> None:
    """Wait until the kernel holds none of the objects. Raises TestbedError."""
    wait_until(lambda: not objects.meets(list_all_objects()), "BPF objects stayed", RELEASE_TIMEOUT_S)


def read_tc(namespace: str, device: str) -> list[Any]:
    """Return qdiscs and filters of a device without counters, and without the filters that bear our name."""
    shown = [_ask_tc(namespace, ["qdisc", "show", "dev", device])]
    shown += [_ask_tc(namespace, ["filter", "show", "dev", device, side]) for side in SIDES]
    return [[item for item in items if not _is_ours(item)] for items in shown]


def count_mirrored(namespace: str, device: str) -> dict[str, int]:
    """Return how many packets the mirror has counted on each side."""
    return {
        side: sum(
            action["stats"]["packets"]
            for item in _ask_tc(namespace, ["-s", "filter", "show", "dev", device, side])
            for action in item.get("options", {}).get("actions", ())
        )
        for side in SIDES
    }


def _list_ids(command: int) -> Iterator[int]:
    attributes = _NextId()
    while True:
        try:
            call_bpf(command, attributes)
        except OSError as error:
            if error.errno == errno.ENOENT:  # that was the last one
                return
            raise
        yield attributes.next_id
        attributes.start_id = attributes.next_id


def _is_ours(item: dict[str, Any]) -> bool:
    return str(item.get("options", {}).get("bpf_name", "")).startswith(OWN_FILTER_PREFIX)


def _ask_bpftool(*arguments: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(run_command(["bpftool", "-j", *arguments]))
    return answer


def _ask_tc(namespace: str, arguments: list[str]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(run_command(["tc", "-n", namespace, "-j", *arguments]))
    return answer
