"""Log lines."""

import io
import json
import logging
from typing import Any

from hopspan.logs import MAX_MESSAGES, Log, RepeatGate, catch_library_logs
from hopspan.settings import LogLevel

SECOND = 10**9


def read_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines as values, without their times."""
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        assert line.pop("time").endswith("Z")
    return lines


def test_line_is_json_with_its_fields() -> None:
    """A line has time, level, message, and the fields as they were given."""
    stream = io.StringIO()
    fields: dict[str, Any] = {"port": 4317, "name": 'a "b"\n', "ratio": 0.5, "is_on": True, "nothing": None}
    Log(stream=stream).info("ready", **fields)
    assert read_lines(stream) == [{"level": "info", "message": "ready", **fields}]


def test_less_important_lines_are_left_out() -> None:
    """The level is the least that is written."""
    stream = io.StringIO()
    journal = Log(LogLevel.WARN, stream)
    journal.debug("a")
    journal.info("b")
    journal.warn("c")
    journal.error("d")
    assert [line["message"] for line in read_lines(stream)] == ["c", "d"]


def test_repeats_are_held_back_and_counted() -> None:
    """The same message comes once; how often it would have come is told at the end."""
    stream = io.StringIO()
    journal = Log(stream=stream)
    for number in range(23):
        journal.warn("trouble", number=number)
    journal.info("else")
    journal.close()
    assert read_lines(stream) == [
        {"level": "warn", "message": "trouble", "number": 0},
        {"level": "info", "message": "else"},
        {"level": "info", "message": "trouble", "suppressed": 22},
    ]


def test_events_are_all_told() -> None:
    """An event that comes again is told again, since its last line says how things are."""
    stream = io.StringIO()
    journal = Log(stream=stream)
    for number in range(3):
        journal.info("points changed", points=number)
    assert [line["points"] for line in read_lines(stream)] == [0, 1, 2]


def test_gate_opens_once_an_interval() -> None:
    """After the interval the message comes again, with the count of what was held back."""
    gate = RepeatGate(5 * SECOND)
    assert gate.admit("a", 0) == 0
    assert gate.admit("a", 1) is None
    assert gate.admit("a", 5 * SECOND - 1) is None
    assert gate.admit("b", 5 * SECOND - 1) == 0
    assert gate.admit("a", 5 * SECOND) == 2
    assert gate.admit("a", 6 * SECOND) is None
    assert gate.take_held_back() == [("a", 1)]
    assert gate.take_held_back() == []


def test_gate_remembers_a_bounded_number_of_messages() -> None:
    """Messages without end do not fill the memory: the oldest is forgotten."""
    gate = RepeatGate()
    for number in range(MAX_MESSAGES + 1):
        assert gate.admit(str(number), 0) == 0
    assert gate.admit("0", 0) == 0
    assert gate.admit(str(MAX_MESSAGES), 0) is None


def test_closed_stream_stops_nothing() -> None:
    """Whoever read our stderr may be gone."""
    stream = io.StringIO()
    journal = Log(stream=stream)
    stream.close()
    journal.error("nobody hears")


def test_library_logs_are_caught() -> None:
    """What a library logs becomes a line of ours: its first line and the kind of its error, no values."""
    stream = io.StringIO()
    handler = catch_library_logs(Log(stream=stream))
    logger = logging.getLogger("grpc._server")
    try:
        try:
            int("a secret")
        except ValueError:
            logger.exception("Exception calling application\nmore")
        logger.info("not important")
    finally:
        logging.getLogger().removeHandler(handler)
    assert read_lines(stream) == [
        {
            "level": "warn",
            "message": "a library reports",
            "library": "grpc._server",
            "text": "Exception calling application",
            "exception": "ValueError",
        }
    ]
