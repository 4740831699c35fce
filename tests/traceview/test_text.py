"""Times, shares and foreign text as people read them."""

import pytest

from traceview.text import MAX_NAME_CHARACTERS, format_short_us, format_us, make_visible, percent, write_us


@pytest.mark.parametrize(
    ("duration_ns", "long", "short"),
    [
        (0, "0.0", "0"),
        (49, "0.0", "0"),
        (50, "0.1", "0.1"),
        (239_412, "239.4", "239.4"),
        (239_450, "239.5", "239.5"),
        (999_950, "1000.0", "1000"),
        (1_600_000, "1600.0", "1600"),
    ],
)
def test_microseconds(duration_ns: int, long: str, short: str) -> None:
    """Rounded half up to one digit; the short form drops a fraction of zero."""
    assert (format_us(duration_ns), format_short_us(duration_ns)) == (long, short)
    assert write_us(duration_ns) == f"{short}\N{NO-BREAK SPACE}µs"


@pytest.mark.parametrize(
    ("part", "whole", "share"), [(0, 0, 0), (5, 0, 0), (1, 200, 1), (372, 1600, 23), (3, 2, 150)]
)
def test_percent(part: int, whole: int, share: int) -> None:
    """Rounded half up; nothing of nothing is 0."""
    assert percent(part, whole) == share


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /cart 深い", "GET /cart 深い"),
        ("\x1b[31mred\n", "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}"),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\x00\x7f\x9b", "\N{REPLACEMENT CHARACTER}" * 3),
    ],
)
def test_control_characters_are_replaced(text: str, shown: str) -> None:
    """Nothing that steers a terminal or turns a line passes."""
    assert make_visible(text) == shown


def test_long_text_is_cut() -> None:
    """At the limit nothing is cut, beyond it an ellipsis says so."""
    whole = "x" * MAX_NAME_CHARACTERS
    assert make_visible(whole) == whole
    assert make_visible(whole + "x") == whole[:-1] + "…"
