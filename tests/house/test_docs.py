"""The docs are tested: every key, metric and reason has its place there, and every link leads somewhere."""

import html
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from collector_plugin import outcomes, reasons
from collector_plugin.kubernetes_api import Result
from collector_plugin.tenures import Lookup
from node_probe.counters import ClaimOutcome, KeptEnd, KernelCounter, Reason
from tests.house.config_reference import list_keys
from tests.house.repository import ROOT, tracked_files
from tests.house.schemas import SCHEMAS
from tests.pictures.names import DIRECTORY, PICTURES

CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
README = (ROOT / "README.md").read_text()
TRACE_PICTURE = (ROOT / "docs" / "pictures" / "trace.svg").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("schema", list(SCHEMAS.values()), ids=lambda schema: schema["title"])
def test_every_heading_is_a_key(schema: dict[str, Any]) -> None:
    """What the configuration's page tells of is a key of the program, which the reference has with all others."""
    sections = re.split(r"^## ", CONFIGURATION, flags=re.MULTILINE)
    (text,) = [section for section in sections if section.startswith(schema["title"])]
    properties = schema["properties"].items()
    keys = {path for name, child in properties for path, *_ in list_keys(name, child, is_required=False)}
    headings = re.findall(r"^### `([^`]+)`$", text, re.MULTILINE)
    assert headings
    assert set(headings) <= keys


def list_metrics() -> set[str]:
    """Return the names of all metrics of the programs, as the code has them."""
    sources = [ROOT / "node_probe" / name for name in ("report.py", "flow_report.py")]
    sources += [ROOT / "collector_plugin" / "report.py"]
    sources += [
        ROOT / "collector_plugin" / name for name in ("receiver_metrics.py", "kubernetes_names.py", "claims.py")
    ]
    code = " ".join(path.read_text() for path in sources).replace('f"{name}', '"hopspan_plugin_exporter_')
    return set(re.findall(r'"(hopspan_(?:probe|plugin)_[a-z0-9_]*[a-z])"', code))


def test_every_metric_is_documented() -> None:
    """Each metric's name in the code stands in the docs, and each in the docs is one in the code."""
    assert list_metrics() == set(re.findall(r"^\| `(hopspan_[a-z0-9_]+)`", METRICS, re.MULTILINE))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_metric_that_is_named_exists(path: Path) -> None:
    """A page sends nobody to look for a count that is not there; what a regular expression leaves open may follow."""
    known = list_metrics()
    for name in re.findall(r"hopspan_(?:probe|plugin)_[a-z0-9_]*[a-z]", path.read_text()):
        bare = re.sub(r"_(total|bucket|count|sum)$", "", name)
        assert bare in known or any(metric.startswith(f"{name}_") for metric in known), name


@pytest.mark.parametrize(
    "members",
    [
        Reason,
        ClaimOutcome,
        KeptEnd,
        reasons.TransitReason,
        reasons.HopReason,
        reasons.ForgetReason,
        reasons.ClockReason,
        reasons.ClaimReason,
        outcomes.SendOutcome,
        Lookup,
        Result,
    ],
    ids=lambda kind: kind.__qualname__,
)
def test_every_reason_is_documented(members: type[Enum]) -> None:
    """Each label of a loss stands in the docs."""
    for member in members:
        if member is not outcomes.SendOutcome.SENT:
            assert f"`{member.value}`" in METRICS


def test_every_kernel_counter_is_documented() -> None:
    """Each counter of the programs is a metric of its own, or a label in the docs."""
    own = {"transits_started", "transits_emitted", "transits_swept", "tls_seen"}
    for counter in KernelCounter:
        if counter.label.startswith("context_"):
            assert f"`{counter.label.removeprefix('context_')}`" in METRICS
        elif counter.label not in own:
            assert f"`{counter.label}`" in METRICS


@pytest.mark.parametrize("path", tracked_files("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link and image of a page exists, and the heading that it names."""
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", path.read_text()):
        if not target.startswith(("https://", "http://")):
            page = path.parent / target if target else path
            assert page.exists(), target
            assert not anchor or anchor in list_anchors(page), f"{target}#{anchor}"


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_picture_is_made_and_shown() -> None:
    """`make pictures` makes each picture that a page shows, and a page shows each that it makes."""
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", page.read_text())
    }
    assert shown == {DIRECTORY / name for name in PICTURES}
    assert set(tracked_files("docs/pictures")) == shown


@pytest.mark.parametrize("span", ["router cart egress", "cart ingress", "→ underlay"])
def test_readme_tells_the_times_of_its_picture(span: str) -> None:
    """What the span took that waited, the one that worked, and the hop that was slow."""
    lines: dict[str, str] = {}
    for height, text in re.findall(r'<text[^>]* y="([0-9.]+)"[^>]*>(.*?)</text>', TRACE_PICTURE):
        lines[height] = lines.get(height, "") + html.unescape(text).replace("\N{NO-BREAK SPACE}", " ")
    line = next(line for line in lines.values() if re.search(rf"(^|[├└ ] ){span} ", line))
    (duration_us,) = re.findall(r" ([0-9.]+) us", line)
    assert f"{float(duration_us) / 1000:.1f} ms" in README


CHART = ROOT / "otel-config" / "helm" / "hopspan"
STARTED_FROM = [
    path
    for path in tracked_files("otel-config/*.yaml")
    if CHART not in path.parents or path.name == "values.yaml"  # Helm puts the others together
]


@pytest.mark.parametrize("path", STARTED_FROM, ids=lambda path: path.name)
def test_every_configuration_is_told_of(path: Path) -> None:
    """A page for users leads to each file that they may start from."""
    assert any(str(path.relative_to(ROOT)) in page.read_text() for page in PAGES)
