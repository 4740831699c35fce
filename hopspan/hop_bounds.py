"""The buckets of both programs' histograms of hop durations, so that one query reads both.

Pure.
"""

BOUNDS_NS = (500, *(digit * 10**power for power in range(3, 9) for digit in (1, 2, 5)), 10**9)
"""Upper bounds, inclusive: 1, 2 and 5 of each power of ten from 500 ns to 1 s. A hop within a node takes some
microseconds when idle, a wire some tens to some thousands; and after a second a probe's sweep ends a transit."""

NS_PER_S = 1e9
