"""Results are kept as JSON that gives the same values again, and nothing else is taken for results."""

import pytest

from evaluation.results import VERSION, Results, ResultsError, decode_results, encode_results
from tests.evaluation.samples import make_fault, make_results
from tests.evaluation.samples_clock import make_clock, make_cost

BOTH = decode_results(encode_results(Results(clock=make_clock(), cost=make_cost())))  # whole numbers are floats now


@pytest.mark.parametrize("results", [Results(), make_results(), make_results(make_fault("a"), make_fault("b")), BOTH])
def test_results_come_back_as_they_were(results: Results) -> None:
    """What is written is what is read, and written again it is the same bytes."""
    data = encode_results(results)
    assert decode_results(data) == results
    assert encode_results(decode_results(data)) == data


def test_every_beginning_of_a_file_is_refused() -> None:
    """A file that was cut holds no results, at whichever byte."""
    data = encode_results(make_results()).rstrip()
    for length in range(len(data)):
        with pytest.raises(ResultsError):
            decode_results(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b'{"version": %d}' % (VERSION + 1),
        b'{"version": %d, "answers": 1}' % VERSION,
        b'{"version": "1"}',
        b"\xff",
    ],
)
def test_what_is_no_results_is_refused(data: bytes) -> None:
    """Another shape, another version, a field that is not known: an error, and no guess."""
    with pytest.raises(ResultsError, match="results"):
        decode_results(data)
