"""Build HTML that cannot be broken by what it shows: every text is escaped unless it is Markup itself. Pure."""

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML already; only this module makes it."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """Return one element; a trailing underscore leaves an attribute's name, other underscores become hyphens.

    An attribute of the empty string is written without a value, as `open` and `hidden` are.
    """
    opening = "".join(_write_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{tag}{opening}>{join_markup(*children)}</{tag}>")


def join_markup(*children: str) -> Markup:
    """Return the children one behind the other, escaped where they are plain text."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def nest_list(items: Iterable[tuple[int, Markup]]) -> Markup:
    """Return lists within lists from items and their depths; the first depth is 0, each next one at most 1 deeper."""
    written: list[str] = []
    level = -1
    for depth, item in items:
        written.append("<ol>" if depth > level else "</li>" + "</ol></li>" * (level - depth))
        written.append(f"<li>{item}")
        level = depth
    return Markup("".join(written) + "</li></ol>" * (level + 1))


def _write_attribute(name: str, value: str) -> str:
    written = name.removesuffix("_").replace("_", "-")
    return f' {written}="{html.escape(value)}"' if value else f" {written}"
