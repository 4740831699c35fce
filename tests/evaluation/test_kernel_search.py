"""The kernel's search is timed by the real program: every made-up request must have been found."""

import pytest

from evaluation.kernel_search import SIZES_BYTES, measure_search
from tests.requirements import require_bcc, require_root

pytestmark = pytest.mark.bpf


def test_each_size_is_searched_to_its_end() -> None:
    """One segment or several, the context at the head or behind all else; a miss would be an error."""
    require_root()
    require_bcc()
    costs = measure_search(2, 3)
    assert [cost.size_bytes for cost in costs] == list(SIZES_BYTES)
    assert (costs[0].segments, costs[-1].segments) == (1, 6)
    assert all(cost.growth_ns.low <= cost.growth_ns.median <= cost.growth_ns.high for cost in costs)
