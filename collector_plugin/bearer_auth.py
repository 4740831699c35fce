"""Bearer tokens (RFC 6750): what clients must show, from the configuration or from a file that may be renewed.

An edge: it reads the file. No token appears in an error, in a log or in a repr.
"""

import hmac
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hopspan.errors import HopspanError
from hopspan.token_file import TOKEN, TokenFile

# RFC 6750, section 2.1: credentials = "Bearer" 1*SP b64token; the scheme's case does not matter (RFC 9110).
_CREDENTIALS = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,8192}) *", re.IGNORECASE)


class BearerAuth(msgspec.Struct, frozen=True, kw_only=True):
    """What clients must show."""

    bearer_token_file: str | None = None
    """File with one token a line; it is read again when it changes. Exclusive with tokens. Default: none."""
    tokens: tuple[str, ...] | None = None
    """The tokens themselves, any of which lets in. Default: none."""

    def __repr__(self) -> str:
        """Leave out the tokens."""
        return f"BearerAuth(bearer_token_file={self.bearer_token_file!r}, tokens={len(self.tokens or ())})"

    def validate(self) -> Iterator[str]:
        """Yield faults: not exactly one source, or what no header can carry. Tokens are never repeated."""
        if self.bearer_token_file is not None and self.tokens is not None:
            yield "bearer_token_file: exclusive with tokens"
        if self.bearer_token_file is None and self.tokens is None:
            yield "tokens: missing (or bearer_token_file)"
        if self.tokens is not None and not self.tokens:
            yield "tokens: expected at least one"
        for index, token in enumerate(self.tokens or ()):
            if not TOKEN.fullmatch(token):
                yield f"tokens[{index}]: is not a bearer token (letters, digits and -._~+/=)"


class BearerTokens:
    """Decides who is let in. Safe to use from several threads."""

    def __init__(self, auth: BearerAuth) -> None:
        """Read the tokens. Raises HopspanError that begins with the key where the file has none."""
        self._file = TokenFile(Path(auth.bearer_token_file)) if auth.bearer_token_file is not None else None
        self._tokens = auth.tokens or ()

    def is_allowed(self, authorization: bytes | None, now_ns: int) -> bool:
        """Return whether the value of an Authorization header has one of the tokens."""
        match = _CREDENTIALS.fullmatch(authorization or b"")
        given = match[1] if match is not None else b""
        is_allowed = False
        for token in self._tokens if self._file is None else self._file.read(now_ns):
            # All are compared, each in constant time: how long it takes tells nothing of them.
            is_allowed |= hmac.compare_digest(given, token.encode())
        return is_allowed


def open_tokens(auth: BearerAuth | None, key: str) -> BearerTokens | None:
    """Return the tokens of `auth`, None where there is none. Raises HopspanError that begins with `key`."""
    try:
        return BearerTokens(auth) if auth is not None else None
    except HopspanError as error:
        raise HopspanError(f"{key}.{error}") from error
