"""Whether the probe does what it is there for, judged from a few numbers of this moment.

Pure. What is not a reason here: lost transits, which are counted under their own reasons.
"""

from collections.abc import Iterator

import msgspec

from hopspan.health import Health

MAX_SILENCE_NS = 5_000_000_000
"""A turn of the loop takes 50 ms, and one that attaches to hundreds of pods a second or two."""

AWAY_AFTER_ATTEMPTS = 3
"""Some two seconds with the backoff in between: a peer that restarts in good order is back before."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers."""

    ready: bool
    silence_ns: int
    """Since the ring was last read."""
    points: int
    failed_points: int
    failed_attempts: int
    """To send the request that is being sent, so far."""
    refused: bool
    """Whether the last request that was answered was refused for good."""
    kept_ratio: float
    """What part of the records the CPU ceiling leaves."""


def judge_health(pulse: Pulse) -> Health:
    """Return the health, with a reason for each thing that is wrong."""
    is_alive = not pulse.ready or pulse.silence_ns <= MAX_SILENCE_NS
    return Health(tuple(_find_reasons(pulse)), is_ready=pulse.ready, is_alive=is_alive)


def _find_reasons(pulse: Pulse) -> Iterator[str]:
    if not pulse.ready:
        yield "not ready: the points are not attached yet"
        return
    if not pulse.points:
        yield "no points attached"
    if pulse.failed_points:
        yield f"{pulse.failed_points} points could not be attached"
    if pulse.silence_ns > MAX_SILENCE_NS:
        yield f"ring not read for {pulse.silence_ns // 1_000_000_000} s"
    if pulse.failed_attempts >= AWAY_AFTER_ATTEMPTS:
        yield f"collector away: {pulse.failed_attempts} retries"
    if pulse.refused:
        yield "collector refused the last request for good: the log says why"
    if pulse.kept_ratio < 1:
        yield f"CPU ceiling reached: {pulse.kept_ratio:.0%} of the records are kept"
