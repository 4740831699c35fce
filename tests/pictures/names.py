"""Which pictures there are: all that `make pictures` makes, and that README and docs show. Values only."""

from tests.house.repository import ROOT

DIRECTORY = ROOT / "docs" / "pictures"
PICTURES = ("page.png", "top.svg", "trace.svg", "zipkin.png")
