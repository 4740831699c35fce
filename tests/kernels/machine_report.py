"""What a machine tells on its console, which is all that is kept of a guest: lines of base64 between two marks."""

import base64
import zlib

import msgspec

from tests.kernels.wall_clocks import Bounds

BEGIN = "REPORT-BEGIN"
END = "REPORT-END"


class Report(msgspec.Struct, frozen=True):
    """One machine's story."""

    kernel: str
    clock_id: str
    """The kernel's boot id."""
    clock_source: str
    """What the kernel takes its time from."""
    counts: dict[str, dict[str, int]]
    """What each program counted, by its name."""
    groups: list[bytes] = []
    """Each ResourceSpans that the plugin sent on."""
    bounds: list[Bounds] = []
    """What was observed of the wall clocks."""


def render_report(report: Report) -> str:
    """Return the lines for the console."""
    text = base64.encodebytes(zlib.compress(msgspec.json.encode(report))).decode()
    return f"{BEGIN}\n{text}{END}\n"


def read_report(console: str) -> Report:
    """Return the report on a console that may say other things before and after it."""
    text = console.partition(f"{BEGIN}\n")[2].partition(END)[0]
    assert text, f"no report on the console:\n{console[-3000:]}"
    return msgspec.json.decode(zlib.decompress(base64.b64decode(text)), type=Report)
