"""What the evaluation found, as values and as JSON: the report and the plots are made of nothing else. Pure.

A question's own values are in results_<question>.py; here it has a field, nothing until it was asked.
"""

import msgspec

from evaluation.results_clock import ClockResult
from evaluation.results_cost import CostResult
from evaluation.results_faults import FaultsResult
from evaluation.results_overlay import OverlayResult
from evaluation.results_relocation import RelocationResult
from evaluation.results_scale import ScaleResult
from evaluation.values import Value

VERSION = 1
"""Of the JSON's shape; a reader takes no other."""


class ResultsError(ValueError):
    """The bytes are no results of this version; the text says where."""


class Results(Value, frozen=True):
    """All answers; a question that was not asked yet has none."""

    version: int = VERSION
    relocation: RelocationResult | None = None
    clock: ClockResult | None = None
    cost: CostResult | None = None
    faults: FaultsResult | None = None
    scale: ScaleResult | None = None
    overlay: OverlayResult | None = None


def encode_results(results: Results) -> bytes:
    """Return the results as indented JSON with a line end."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"


def decode_results(data: bytes) -> Results:
    """Return the results in the JSON. Raises ResultsError."""
    try:
        results = msgspec.json.decode(data, type=Results)
    except msgspec.MsgspecError as error:
        raise ResultsError(f"no results: {error}") from error
    if results.version != VERSION:
        raise ResultsError(f"results of version {results.version}, not {VERSION}")
    return results
