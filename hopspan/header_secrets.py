"""Keeps the values of configured headers out of texts that may be logged: a peer may repeat what it was sent.

Pure.
"""

from collections.abc import Iterable, Mapping

MAX_MESSAGE_CHARACTERS = 300
"""Of a peer's error text: enough to understand it, too little to flood logs and answers."""

MIN_SECRET_CHARACTERS = 8
"""Of a header's value: shorter ones keep nobody out, and would blot out ordinary words of a peer's error text."""


def find_secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the headers' values and their words, the longest first: a peer may repeat a token without `Bearer`."""
    texts = {text for value in headers.values() for text in (value, *value.split())}
    return tuple(sorted((text for text in texts if len(text) >= MIN_SECRET_CHARACTERS), key=len, reverse=True))


def blot_out(text: str, secrets: Iterable[str]) -> str:
    """Return at most MAX_MESSAGE_CHARACTERS of the text, each secret replaced by `***`."""
    # Cut at last: else a part of a secret would stay at the end.
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:MAX_MESSAGE_CHARACTERS]
