"""What C and Python both state is compared by machine: the record, the counters, the points, the limits."""

import ctypes
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node_probe import compiler
from node_probe.bpf import possible_cpus
from node_probe.config import MAX_RATE_LIMIT
from node_probe.counters import KernelCounter
from node_probe.kernel_burst import BURST_FIELDS, BurstKind
from node_probe.kernel_record import (
    CONTEXT_FIELDS,
    CONTEXT_TEXT_MAX,
    RECORD_BYTES,
    RECORD_FIELDS,
    VERSION,
    Fields,
    offset_of,
)
from node_probe.programs import RING_BYTES
from node_probe.sweep import COARSE_SHIFT, STEPS
from node_probe.tables import (
    DIRECTIONS_MAX,
    EXCHANGES_MAX,
    FOLLOWED_MAX,
    KEY_BYTES,
    SLOT_BYTES,
    TABLES,
    TRANSITS_MAX,
    UNFINISHED_MAX,
    WAYS,
)
from node_probe.transit import ContextFormat, Direction, Point, TransitFlag, Tunnel
from tests.house.repository import ROOT
from tests.kernel.http2_talk import BLOCK_MAX, FRAMES_MAX, STREAMS_MAX
from tests.requirements import require_bcc, require_root

BPF = ROOT / "bpf"


def read_enum(name: str) -> dict[str, int]:
    """Return the members of `enum name` with their values, of what maps and ring hold."""
    headers = [(BPF / header).read_text() for header in ("record.h", "burst.h")]
    match = re.search(rf"enum {name} \{{(.*?)\}}", "".join(headers), re.DOTALL)
    assert match is not None
    members: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in match[1].split(","))):
        member, _, value = (word.strip() for word in item.partition("="))
        members[member] = int(value) if value else max(members.values(), default=-1) + 1
    return members


def read_constant(header: str, name: str) -> int:
    match = re.search(rf"#define {name}\s+(\d+)", (BPF / header).read_text())
    assert match is not None
    return int(match[1])


@pytest.fixture(scope="module")
def module() -> Iterator[Any]:
    """Yield the programs as BCC has them."""
    require_root()
    require_bcc()
    loaded, _ = compiler.load(sum(1 << each for each in ContextFormat))
    with loaded:
        yield loaded


@pytest.mark.bpf
def test_record_layout(module: Any) -> None:
    """Names, offsets and sizes of the kernel's record are those of its Python mirror."""
    slot: Any = module[b"transits"].Leaf
    assert describe(slot)[0] == ("key", 0, KEY_BYTES)
    assert describe(slot)[1] == ("transit", KEY_BYTES, RECORD_BYTES)
    assert ctypes.sizeof(slot) == SLOT_BYTES
    for table in TABLES.values():
        assert ctypes.sizeof(module[table.tags.encode()].Leaf) == table.set_bytes
    leaf = dict(slot._fields_)["transit"]
    context_bytes = struct.calcsize("=" + "".join(code for _, code in CONTEXT_FIELDS))
    assert describe(leaf) == lay_out((*RECORD_FIELDS, ("contexts", f"{context_bytes}s")))
    assert ctypes.sizeof(leaf) == RECORD_BYTES
    assert describe(dict(leaf._fields_)["contexts"]._type_) == lay_out(CONTEXT_FIELDS)
    # In the place of a context's text.
    burst = dict(module[b"workspaces"].Leaf._type_._fields_)["burst"]
    assert describe(burst) == lay_out(BURST_FIELDS)
    assert (
        ctypes.sizeof(burst) == struct.calcsize("=" + "".join(code for _, code in BURST_FIELDS)) <= CONTEXT_TEXT_MAX
    )


@pytest.mark.bpf
def test_memory_of_the_maps(module: Any) -> None:
    """What all maps take in the kernel is what the pages say, for however many CPUs."""
    taken_kib = measure_maps_kib(module, "maps.c")
    page = (BPF / "README.md").read_text()
    stated = re.search(r"Together ([\d.]+) MiB on two CPUs, and (\d+) KiB more", page)
    for_flows = re.search(r"Where flows are followed, ([\d.]+) MiB more", page)
    assert stated is not None
    assert for_flows is not None
    assert measure_maps_kib(module, "directions.c") / 1024 == pytest.approx(float(for_flows[1]), abs=0.05)
    stated_kib = float(stated[1]) * 1024 + int(stated[2]) * (possible_cpus() - 2)
    assert abs(taken_kib - stated_kib) < 0.1 * 1024
    of_all = len(KernelCounter) * ctypes.sizeof(module[b"counters"].Leaf) + ctypes.sizeof(module[b"workspaces"].Leaf)
    assert of_all / possible_cpus() / 1024 == pytest.approx(int(stated[2]), abs=0.5)
    sizing = f"{math.ceil(float(stated[1]))} MiB, and {stated[2]} KiB for each CPU beyond two"
    assert sizing in (ROOT / "docs" / "sizing.md").read_text()


def measure_maps_kib(module: Any, part: str) -> float:
    """Return what the maps of a part of the programs take."""
    text = (BPF / part).read_text()
    names = re.findall(r"^BPF_(?:F_)?TABLE\(.*?(\w+), \w+(?:, BPF_F_MMAPABLE)?\);", text, re.MULTILINE)
    names += re.findall(r"^BPF_(?:RINGBUF_OUTPUT|PROG_ARRAY)\((\w+),", text, re.MULTILINE)
    assert len(names) == len(re.findall(r"^BPF_", text, re.MULTILINE))
    facts = [Path(f"/proc/self/fdinfo/{module[name.encode()].map_fd}").read_text() for name in names]
    return sum(int(fact.split("memlock:")[1].split()[0]) for fact in facts) / 1024


def describe(structure: Any) -> list[tuple[str, int, int]]:
    """Return name, offset and size of each field of a ctypes structure."""
    fields = [(field[0], getattr(structure, field[0])) for field in structure._fields_]
    return [(name, descriptor.offset, descriptor.size) for name, descriptor in fields]


def lay_out(fields: Fields) -> list[tuple[str, int, int]]:
    """Return the same of the fields of a mirror."""
    return [(name, offset_of(fields, name), struct.calcsize("=" + code)) for name, code in fields]


def test_counters() -> None:
    """The counters have the same names and order on both sides."""
    kernel = read_enum("counter")
    assert kernel.pop("COUNTERS") == len(KernelCounter)
    assert kernel == {counter.name: counter.value for counter in KernelCounter}


def test_points_and_directions() -> None:
    """Points and directions have the same numbers on both sides."""
    assert read_enum("point") == {point.name: point.value for point in Point}
    assert read_enum("direction") == {direction.name: direction.value for direction in Direction}


def test_formats_tunnels_and_flags() -> None:
    """Formats, flags and the tunnels that the kernel knows have the wire's numbers."""
    assert read_enum("context_format") == {f.name: f.value for f in ContextFormat}
    assert read_enum("burst_kind") == {f"BURST_{kind.name}": kind.value for kind in BurstKind}
    assert read_enum("transit_flag") == {flag.name: flag.value for flag in TransitFlag}
    for name, value in read_enum("tunnel").items():
        assert Tunnel["NONE" if name == "NO_TUNNEL" else name] == value


def test_limits() -> None:
    """Limits that both sides state are equal."""
    assert read_constant("limits.h", "RING_PAGES") * 4096 == RING_BYTES
    assert read_constant("limits.h", "TRANSITS_MAX") == TRANSITS_MAX
    assert read_constant("limits.h", "EXCHANGES_MAX") == EXCHANGES_MAX
    assert read_constant("limits.h", "UNFINISHED_MAX") == UNFINISHED_MAX
    assert read_constant("limits.h", "FOLLOWED_MAX") == FOLLOWED_MAX
    assert read_constant("limits.h", "DIRECTIONS_MAX") == DIRECTIONS_MAX
    assert read_constant("limits.h", "TABLE_WAYS") == WAYS
    assert read_constant("limits.h", "STREAMS_MAX") == STREAMS_MAX
    assert read_constant("limits.h", "FRAMES_MAX") == FRAMES_MAX
    assert read_constant("limits.h", "HPACK_BLOCK_MAX") == BLOCK_MAX
    assert 2 ** read_constant("limits.h", "RATE_COUNT_BITS") > MAX_RATE_LIMIT
    assert read_constant("limits.h", "SWEEP_STEP") * STEPS == TRANSITS_MAX
    assert read_constant("record.h", "COARSE_SHIFT") == COARSE_SHIFT
    assert read_constant("record.h", "RECORD_VERSION") == VERSION
