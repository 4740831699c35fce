"""Whether the plugin does what it is there for, judged from a few numbers of this moment.

Pure. What is not a reason here: refused requests and released transits, which are counted under their own reasons.
"""

from collections.abc import Iterator, Mapping

import msgspec

from hopspan.health import Health

AWAY_AFTER_ATTEMPTS = 3
"""In a row: a peer that restarts in good order is back before."""

MAX_SILENCE_NS = 5 * 10**9
"""The join looks for what is due twenty times a second."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers."""

    is_serving: bool
    silence_ns: int
    """Since the join last looked for what is due."""
    failed_attempts: Mapping[str, int]
    """By exporter, to send anything, since the last success."""


def judge_health(pulse: Pulse) -> Health:
    """Return the health, with a reason for each thing that is wrong."""
    is_alive = pulse.silence_ns <= MAX_SILENCE_NS
    return Health(tuple(_find_reasons(pulse)), is_ready=pulse.is_serving, is_alive=is_alive)


def _find_reasons(pulse: Pulse) -> Iterator[str]:
    if not pulse.is_serving:
        yield "not serving: starting or stopping"
        return
    if pulse.silence_ns > MAX_SILENCE_NS:
        yield f"no network spans made for {pulse.silence_ns // 10**9} s"
    for exporter, attempts in pulse.failed_attempts.items():
        if attempts >= AWAY_AFTER_ATTEMPTS:
            yield f"exporters.{exporter}: away, {attempts} attempts failed in a row"
