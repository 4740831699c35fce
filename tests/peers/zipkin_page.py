"""Zipkin's own page in a headless Chromium: the rows that a person sees there.

Edge, and the only module that imports selenium. Browser and driver are the distribution's; nothing is downloaded.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.requirements import lack

TIMEOUT_S = 60.0
WINDOW = "1500,1100"
"""The page holds those rows alone that fit into the window."""

FLAGS = (
    "--headless",
    "--no-sandbox",  # which Chromium refuses to have as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
BROWSER, DRIVER = "chromium", "chromedriver"

# The names of the page's classes change from build to build; that rows have a fixed height does not.
_ROWS = 'div[style*="position: absolute"][style*="height: 30px"]'


@dataclass(frozen=True)
class Row:
    """A line of the waterfall: "service: name", its duration as written, and how deep it stands below the first."""

    label: str
    duration: str
    depth: int


class Page:
    """A trace as it is shown."""

    def __init__(self, browser: Chrome) -> None:
        self._browser = browser

    def open(self, url: str, rows: int) -> list[Row]:
        """Open a trace's page, wait for so many rows, and return them."""
        self._browser.get(url)
        WebDriverWait(self._browser, TIMEOUT_S).until(
            lambda browser: len(browser.find_elements(By.CSS_SELECTOR, _ROWS)) >= rows,
            f"there are no {rows} rows at {url}",
        )
        return nest_rows([row.text.split("\n") for row in self._browser.find_elements(By.CSS_SELECTOR, _ROWS)])

    def read_details(self, number: int, title: str) -> dict[str, str]:
        """Click on a row, counted from 0, wait until the title stands beside it, and return the span's tags there."""
        self._browser.find_elements(By.CSS_SELECTOR, _ROWS)[number].click()
        lines: list[str] = []

        def is_shown(browser: Chrome) -> bool:
            text = browser.find_element(By.TAG_NAME, "body").text
            lines[:] = text.partition("Span name\n")[2].split("\n")
            return title in lines[:2]

        WebDriverWait(self._browser, TIMEOUT_S).until(is_shown, f"no details of {title}")
        tags = (line.partition(" ") for line in lines[lines.index("Tags") + 1 :])
        return {key: value for key, _, value in tags}

    def show(self, url: str, text: str) -> None:
        """Open any page, and wait for a text on it."""
        self._browser.get(url)
        WebDriverWait(self._browser, TIMEOUT_S).until(
            lambda browser: text in browser.find_element(By.TAG_NAME, "body").text, f"no {text!r} at {url}"
        )

    def take_picture(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self._browser.save_screenshot(str(path))


def nest_rows(lines: list[list[str]]) -> list[Row]:
    """Return rows from their texts: of a row with others below it, first how many of the next ones these are."""
    rows: list[Row] = []
    ends: list[int] = []  # of each open row the number behind its last descendant
    for number, texts in enumerate(lines):
        while ends and ends[-1] == number:
            ends.pop()
        *below, label, duration = texts
        rows.append(Row(label, duration, len(ends)))
        ends.append(number + 1 + int(below[0] if below else 0))
    return rows


@contextmanager
def opened_page(work_dir: Path, window: str = WINDOW) -> Iterator[Page]:
    """Hold a browser with a profile of its own; skips where there is none."""
    programs = [shutil.which(BROWSER), shutil.which(DRIVER)]
    for name, program in zip((BROWSER, DRIVER), programs, strict=True):
        if program is None:
            lack(f"{name}: no such command (Debian's packages chromium and chromium-driver)")
    options = ChromeOptions()
    options.binary_location = str(programs[0])
    for flag in (*FLAGS, f"--window-size={window}", f"--user-data-dir={work_dir / 'profile'}"):
        options.add_argument(flag)
    service = Service(programs[1], log_output=str(work_dir / "chromedriver.log"))
    with Chrome(options=options, service=service) as browser:
        yield Page(browser)
