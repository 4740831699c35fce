"""HTML is escaped unless it was made as HTML."""

import pytest

from traceview.markup import Markup, element, join_markup, nest_list


def test_text_is_escaped_and_elements_are_not() -> None:
    """An element inside an element stays, a text that looks like one does not."""
    assert element("p", "<b>", element("b", "&")) == "<p>&lt;b&gt;<b>&amp;</b></p>"
    assert join_markup("<", Markup("<br>")) == "&lt;<br>"


def test_attributes_are_escaped() -> None:
    """No value ends its quotes; names that Python keeps for itself end in an underscore."""
    assert element("a", class_='"><script>', aria_label="it's") == (
        '<a class="&quot;&gt;&lt;script&gt;" aria-label="it&#x27;s"></a>'
    )
    assert element("details", open="") == "<details open></details>"


@pytest.mark.parametrize(
    ("depths", "html"),
    [
        ([], ""),
        ([0], "<ol><li>x</li></ol>"),
        ([0, 0], "<ol><li>x</li><li>x</li></ol>"),
        ([0, 1, 2, 0], "<ol><li>x<ol><li>x<ol><li>x</li></ol></li></ol></li><li>x</li></ol>"),
        ([0, 1, 1], "<ol><li>x<ol><li>x</li><li>x</li></ol></li></ol>"),
    ],
)
def test_nested_lists(depths: list[int], html: str) -> None:
    """Depths become lists within lists, and every element is closed."""
    assert nest_list((depth, Markup("x")) for depth in depths) == html
