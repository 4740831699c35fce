"""Quantiles from buckets against the sorted durations themselves."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from node_probe.quantiles import BUCKETS, MAX_BITS, Quantiles, find_bucket, middle_ns

LONGEST_NS = (1 << MAX_BITS) - 1
ERROR = 64
"""One part of so many, the documented relative error."""

# By orders of magnitude, since even draws would nearly all be long.
durations = st.integers(0, MAX_BITS).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))


def count_all(taken: list[int]) -> Quantiles:
    quantiles = Quantiles()
    for duration_ns in taken:
        quantiles.add(duration_ns)
    return quantiles


@given(st.lists(durations, min_size=1, max_size=300), st.integers(1, 100))
@example([1000], 50)
@example([0, 0, 7], 99)
@example([LONGEST_NS] * 3, 50)
def test_quantile_is_near_the_true_one(taken: list[int], percent: int) -> None:
    """Nearest rank, within 1/64 of the duration that has this rank, and exact below 32 ns."""
    true_ns = sorted(taken)[math.ceil(len(taken) * percent / 100) - 1]
    told_ns = count_all(taken).read(percent)
    assert abs(told_ns - true_ns) * ERROR <= true_ns
    assert told_ns == true_ns or true_ns >= 32


@given(st.lists(st.integers(0, 1 << 40), min_size=1))
def test_longest_is_exact_and_never_exceeded(taken: list[int]) -> None:
    """Also where a duration is beyond what the buckets tell apart."""
    quantiles = count_all(taken)
    assert (quantiles.count, quantiles.max_ns) == (len(taken), max(taken))
    assert max(quantiles.read(percent) for percent in (1, 50, 99, 100)) <= max(taken)


@given(durations)
def test_bucket_holds_what_lies_about_its_middle(duration_ns: int) -> None:
    """A duration's bucket exists, and its middle falls into it."""
    bucket = find_bucket(duration_ns)
    assert 0 <= bucket < BUCKETS
    assert find_bucket(middle_ns(bucket)) == bucket


def test_buckets_are_numbered_without_gaps() -> None:
    """The middles of all buckets grow, and the last bucket takes the longest."""
    middles = [middle_ns(bucket) for bucket in range(BUCKETS)]
    assert middles == sorted(set(middles))
    assert find_bucket(LONGEST_NS) == find_bucket(1 << 60) == BUCKETS - 1


def test_nothing_measured() -> None:
    """Without durations every quantile is 0."""
    assert Quantiles().read(50) == Quantiles().max_ns == 0
