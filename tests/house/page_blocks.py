"""Reads the commands of a page for users, so that tests run what people read. Pure.

A block fenced as `sh` opens with a comment that says where it is run: `# every node`, and of a program that stays
what its log says once it is ready: `# every node; stays, and says "ready"`.
"""

import re
from dataclasses import dataclass

_PART = re.compile(r"^(#+) ([^\n]+)$|^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r'# ([^;\n]+)(?:; stays, and says "([^"\n]+)")?\n')


@dataclass(frozen=True)
class Block:
    """Commands of one fence; `ready` is what a program that stays says, None where the commands end."""

    sections: tuple[str, ...]
    place: str
    ready: str | None
    commands: str


def read_blocks(text: str) -> list[Block]:
    """Return the page's blocks of commands in order. Raises ValueError where one does not say its place."""
    sections: list[str] = []
    blocks = []
    for mark, title, language, body in _PART.findall(text):
        if mark:
            sections[len(mark) - 1 :] = [title]
        elif language == "sh":
            place = _PLACE.match(body)
            if place is None:
                raise ValueError(f"no place: {body}")
            blocks.append(Block(tuple(sections), place[1], place[2], body[place.end() :]))
    return blocks
