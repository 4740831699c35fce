"""What pages for users quote: messages, configurations, fields and limits are those of the programs."""

import re
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from collector_plugin import caps, clocks, message_table, outcomes, parents, reasons, waiting
from collector_plugin.config import PluginConfig, Spans
from hopspan.config import parse_config
from node_probe.config import PointSettings
from node_probe.counters import KernelCounter, Reason
from node_probe.request_writer import RequestWriter
from node_probe.span_writer import SpanWriter
from node_probe.support import MIN_KERNEL
from node_probe.transit import NodeIdentity
from tests.house.page_blocks import read_blocks
from tests.house.repository import ROOT, tracked_files
from tests.node_probe.records import make_record
from tests.node_probe.resource_spans import read_resource_spans

DOCS = ROOT / "docs"
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()
SECURITY = (DOCS / "security.md").read_text()
LABELS = {
    member.value
    for kind in (Reason, reasons.TransitReason, reasons.HopReason, outcomes.SendOutcome)
    for member in kind
} | {counter.label for counter in KernelCounter}


def read_section(page: str, title: str) -> str:
    """Return the text below a heading, down to the next."""
    (text,) = re.findall(rf"^##+ {re.escape(title)}$\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    return str(text)


def list_first_cells(section: str) -> list[str]:
    """Return what stands in code in the first column of its tables."""
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_every_message_of_the_start_is_one() -> None:
    """What the probe is quoted with, but for what is filled in, stands in its code."""
    code = " ".join(path.read_text() for path in tracked_files("node_probe/*.py"))
    messages = list_first_cells(read_section(TROUBLESHOOTING, "The probe does not start"))
    assert len(messages) > 5
    for message in messages:
        assert all(part in code for part in message.split("...")), message


@pytest.mark.parametrize(
    "title",
    [
        "3. Does the node see requests with a context?",
        "4. Do the transits leave the kernel?",
        "5. Do they reach the plugin, and find their parent?",
    ],
)
def test_every_reason_of_a_table_is_one(title: str) -> None:
    """The reasons by which a user finds the way are labels of the programs."""
    names = list_first_cells(read_section(TROUBLESHOOTING, title))
    assert names
    assert {name for name in names if not name.startswith("hopspan_")} <= LABELS


@pytest.mark.parametrize("path", [DOCS / "troubleshooting.md", DOCS / "security.md"], ids=lambda path: path.name)
def test_every_configuration_is_valid(path: Path) -> None:
    """The plugin takes each piece of YAML, once it has an exporter."""
    pieces = re.findall(r"^```yaml\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    assert pieces
    for piece in pieces:
        parse_config(piece + 'exporters: {otlp: {endpoint: "a:1"}}\n', PluginConfig)


def test_every_attribute_that_leaves_the_node_is_named() -> None:
    """Security names each attribute of a request, and its span has no text but ids, times and the record."""
    batch = SpanWriter("node-1").write([make_record()], 0).batch
    assert batch is not None
    node = NodeIdentity("node-1", "4d3c", "worker-a", "b1f0c0de-0000-4000-8000-000000000001", "k8s-node-1")
    request = RequestWriter(node, "0.1.0").write([batch], 0, {11: "eth0"})
    sent = ResourceSpans.FromString(read_resource_spans(request))
    (scope,) = sent.scope_spans
    (span,) = scope.spans
    named = list_first_cells(read_section(SECURITY, "What leaves the node"))
    assert sorted(named) == sorted(attribute.key for attribute in sent.resource.attributes)
    assert [attribute.key for attribute in span.attributes] == ["hopspan.record"]
    fields = {field.name for field, _ in span.ListFields()}
    assert fields == {
        *("trace_id", "span_id", "parent_span_id", "flags", "name", "kind"),
        *("start_time_unix_nano", "end_time_unix_nano", "attributes"),
    }


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_every_page_is_in_the_index(path: Path) -> None:
    """Whoever opens docs/ finds it."""
    assert path.name == "README.md" or f"]({path.name})" in (DOCS / "README.md").read_text()


def read_define(name: str) -> int:
    """Return a limit of the programs in the kernel."""
    (value,) = re.findall(rf"#define {name}\s+(\d+)", (ROOT / "bpf" / "limits.h").read_text())
    return int(value)


@pytest.mark.parametrize(
    "text",
    [
        f"{read_define('HEADER_BLOCK_MAX') >> 10} KiB deep in the header block",
        f"{read_define('TRANSITS_MAX'):,} transits between two points at once",
        f"{read_define('EXCHANGES_MAX'):,} exchanges remembered",
        f"{PointSettings().rate_limit} new transits a second of a pod",
        f"{waiting.MAX_TRANSITS:,} waiting transits",
        f"{parents.MAX_BYTES >> 20} MiB of parents",
        f"{message_table.MAX_REMEMBERED:,} messages shown",
        f"{clocks.MAX_PAIRS} pairs of nodes",
        f"{caps.MAX_PER_PARENT} network spans below one span",
        f"{Spans().max_per_trace} in a trace",
        f"{message_table.MAX_ATTEMPTS} attempts of a message",
        "Linux {}.{} or later on x86-64".format(*MIN_KERNEL),
    ],
)
def test_every_limit_is_that_of_the_code(text: str) -> None:
    """Limits' figures are the constants and defaults."""
    assert text in " ".join((DOCS / "limits.md").read_text().split()).replace("*", "")


def test_blocks_say_where_they_are_run() -> None:
    """Section, place, and what a program that stays says."""
    text = '# A\n```sh\n# here\nls\n```\n## B\n```\nno\n```\n```sh\n# there; stays, and says "ready"\nrun\n```\n'
    first, second = read_blocks(text)
    assert (first.sections, first.place, first.ready, first.commands) == (("A",), "here", None, "ls\n")
    assert (second.sections, second.place, second.ready, second.commands) == (("A", "B"), "there", "ready", "run\n")
    with pytest.raises(ValueError, match="no place"):
        read_blocks("```sh\nls\n```\n")
