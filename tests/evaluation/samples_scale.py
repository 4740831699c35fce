"""A made-up answer to question 6, with figures that are told apart."""

from evaluation.results import Results
from evaluation.results_scale import Curve, Fill, ScaleResult
from evaluation.scale_curves import UNITS
from evaluation.values import Estimate
from tests.evaluation.samples import HEAD

FLAT = Estimate(1.0, 0.95, 1.05)
PROBE_NAMES = tuple(name for name in UNITS if name != "span")


def make_curve(name: str, sizes: tuple[int, int], value: float, ratio: Estimate = FLAT) -> Curve:
    """Return a curve of two sizes."""
    values = (Estimate(value, value - 1, value + 1), Estimate(value + 2, value, value + 4))
    return Curve(name, UNITS[name], sizes, values, (Estimate(1, 1, 1), ratio))


def make_scale(*, growing: str = "", ratio: Estimate = FLAT, lost: int = 0, displaced: int = 0) -> Results:
    """Return an answer of flat curves, but that of the name."""
    names = [*PROBE_NAMES, "span"]
    curves = {
        name: make_curve(
            name, (1_000, 250_001) if name == "span" else (2, 201), 37.0 + place, ratio if name == growing else FLAT
        )
        for place, name in enumerate(names)
    }
    fills = (Fill(1_000, 1_000, 0, 0.25), Fill(250_001, 250_001 - displaced, displaced, 86.5))
    probe = tuple(curves[name] for name in PROBE_NAMES)
    return Results(scale=ScaleResult(HEAD, 8, 15, 250, 12_345, lost, 543.0, probe, (curves["span"],), fills))
