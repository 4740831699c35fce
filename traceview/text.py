"""Write times, shares and foreign text the same way in the terminal and on the page. Pure."""

MAX_NAME_CHARACTERS = 200
"""Names come from anywhere; beyond this a row holds no more of them."""

PAGE_UNIT = "µs"

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def format_us(duration_ns: int) -> str:
    """Return microseconds with one digit after the point, rounded half up: 239412 ns is `239.4`."""
    tenths = (duration_ns + 50) // 100
    return f"{tenths // 10}.{tenths % 10}"


def format_short_us(duration_ns: int) -> str:
    """Return as `format_us`, without a fraction of zero: 1600000 ns is `1600`."""
    return format_us(duration_ns).removesuffix(".0")


def write_us(duration_ns: int) -> str:
    """Return `format_short_us` with its unit, so joined that no line breaks between: for the page."""
    return f"{format_short_us(duration_ns)}\N{NO-BREAK SPACE}{PAGE_UNIT}"


def percent(part_ns: int, whole_ns: int) -> int:
    """Return the share in percent, rounded half up; 0 of an empty whole."""
    return (200 * part_ns + whole_ns) // (2 * whole_ns) if whole_ns else 0


def make_visible(text: str) -> str:
    """Return foreign text on one line, cut to MAX_NAME_CHARACTERS.

    Control and format characters are replaced: they could steer a terminal or reverse the direction of a line.
    """
    cut = text if len(text) <= MAX_NAME_CHARACTERS else text[: MAX_NAME_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return make_printable(cut)


def make_printable(text: str) -> str:
    """Return text of any length with control and format characters replaced."""
    return "".join(char if char.isprintable() else REPLACEMENT for char in text)
