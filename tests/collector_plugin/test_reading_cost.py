"""What reading a body takes is estimated above what it does take, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from collector_plugin.admission import Admission
from collector_plugin.reading_cost import estimate_json, estimate_zipkin_ids, estimate_zipkin_json

ROOT = Path(__file__).parents[2]

MEASURE = """
import sys
from pathlib import Path
from collector_plugin.allocator import keep_large_blocks_apart
from collector_plugin.otlp_json_request import read_otlp_json
from collector_plugin.otlp_walk import TooManySpansError
from collector_plugin.zipkin_proto import read_list_of_spans
from collector_plugin.zipkin_to_otlp import convert_to_otlp
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.protowire import WireError

keep_large_blocks_apart()
readers = {"otlp": read_otlp_json, "zipkin": convert_to_otlp, "ids": walk_zipkin, "proto": read_list_of_spans}
read = readers[sys.argv[1]]
data = sys.stdin.buffer.read()
Path("/proc/self/clear_refs").write_text("5")

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

before = peak()
try:
    read(data)
except (WireError, TooManySpansError):
    pass
print(peak() - before)
"""

BODY_BYTES = 4 << 20

_ATTRIBUTES = [{"key": f"http.key{i}", "value": {"stringValue": f"some value {i}"}} for i in range(6)]
_OTLP_SPAN = json.dumps(
    {"traceId": "0a" * 16, "spanId": "0b" * 8, "name": "GET", "kind": 3, "attributes": _ATTRIBUTES}
)
_ZIPKIN_SPAN = json.dumps(
    {
        "traceId": "0a" * 16,
        "id": "0b" * 8,
        "name": "get",
        "kind": "CLIENT",
        "localEndpoint": {"serviceName": "frontend", "ipv4": "10.0.0.1"},
        "tags": {f"http.key{i}": f"some value {i}" for i in range(6)},
    }
)
_HEAD, _TAIL = '{"resourceSpans":[{"scopeSpans":[{"spans":[', "]}]}]}"


def fill(head: str, item: str, tail: str) -> bytes:
    """Return a document with as many items as fit."""
    return (head + ",".join([item] * (BODY_BYTES // (len(item.encode()) + 1))) + tail).encode()


OTLP = {
    "spans": fill(_HEAD, _OTLP_SPAN, _TAIL),
    "keys alone": fill(_HEAD + '{"attributes":[', '{"key":"a"}', "]}" + _TAIL),
    "wide text": (_HEAD + '{"name":"\U0001f600' + "x" * BODY_BYTES + '"}' + _TAIL).encode(),
    "halves of pairs": (_HEAD + '{"name":"' + "\\ud83d" * (BODY_BYTES // 6) + '"}' + _TAIL).encode(),
}
ZIPKIN = {
    "spans": fill("[", _ZIPKIN_SPAN, "]"),
    "short spans": fill("[", '{"id":"1","traceId":"1","name":"a"}', "]"),
    "tags": ('[{"id":"1","traceId":"1","tags":{' + ",".join(f'"{i:x}":""' for i in range(300_000)) + "}}]").encode(),
}


def measure(reader: str, data: bytes) -> int:
    """Return by how many bytes memory grew for it."""
    command = [sys.executable, "-c", MEASURE, reader]
    return int(subprocess.run(command, cwd=ROOT, input=data, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("data", OTLP.values(), ids=OTLP)
def test_otlp_json_takes_no_more_than_estimated(data: bytes) -> None:
    """Spans as SDKs write them, and what takes most."""
    assert 0 < measure("otlp", data) <= estimate_json(data)


@pytest.mark.parametrize("data", ZIPKIN.values(), ids=ZIPKIN)
def test_zipkin_json_takes_no_more_than_estimated(data: bytes) -> None:
    """Where all of it is read, to be put into another format, and where ids alone are."""
    assert 0 < measure("zipkin", data) <= estimate_zipkin_json(data)
    assert measure("ids", data) <= estimate_zipkin_ids(data)


def test_common_spans_are_not_estimated_out_of_proportion() -> None:
    """A request of 4 MiB, a Collector's largest, can be read."""
    admission = Admission()
    assert admission.can_ever_fit(len(OTLP["spans"]) + estimate_json(OTLP["spans"]))
    assert admission.can_ever_fit(len(ZIPKIN["spans"]) + estimate_zipkin_json(ZIPKIN["spans"]))
