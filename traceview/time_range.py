"""Read time ranges as people write them: `START/END`, each a moment or so long ago. Pure; the time now is given."""

from datetime import UTC, datetime, timedelta

import msgspec

from hopspan.values import read_duration

NOW = "now"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeRange(msgspec.Struct, frozen=True):
    """From `start_ns` to before `end_ns`, since the epoch."""

    start_ns: int
    end_ns: int


def read_time_range(text: str, now_ns: int) -> TimeRange:
    """Return the range of `START/END`; raises ValueError that says what is wrong.

    Each is RFC 3339 with Z or an offset (`2026-11-29T10:00:00Z`), `now`, or `now-DURATION` (`now-1h30m`).
    """
    start, slash, end = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r:.80} is neither a file nor a time range START/END (such as now-2h/now-1h)")
    start_ns, end_ns = _read_moment(start, now_ns), _read_moment(end, now_ns)
    if start_ns >= end_ns:
        raise ValueError(f"{text!r:.80} ends before it begins")
    return TimeRange(start_ns, end_ns)


def _read_moment(text: str, now_ns: int) -> int:
    if text == NOW:
        return now_ns
    if text.startswith(f"{NOW}-"):
        return now_ns - read_duration(text.removeprefix(f"{NOW}-"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r:.80} is no moment (such as 2026-11-29T10:00:00Z, now, now-2h)") from error
    if moment.tzinfo is None:
        raise ValueError(f"{text!r:.80} does not say in which time zone: add Z or an offset")
    since_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    if since_ns < 0:
        raise ValueError(f"{text!r:.80} is before 1970")
    return since_ns
