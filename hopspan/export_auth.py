"""What requests to a peer show besides the configured headers: a bearer token from a file, the newest one.

An edge: it has the file read, and the clock that says when.
"""

import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from hopspan.errors import HopspanError
from hopspan.header_secrets import find_secrets
from hopspan.settings import ExporterAuth
from hopspan.token_file import TokenFile

REMEMBERED_TOKENS = 8
"""Those shown last: an answer that repeats one may come after the next renewal, and renewals are seconds apart."""


class ExportAuth:
    """The credentials of one exporter. Safe to use from several threads."""

    def __init__(self, auth: ExporterAuth | None, headers: Mapping[str, str]) -> None:
        """Read the file, if there is one. Raises HopspanError that begins with the key where it has no token."""
        self._secrets = find_secrets(headers)
        self._shown: deque[str] = deque(maxlen=REMEMBERED_TOKENS)
        try:
            self._file = TokenFile(Path(auth.bearer_token_file)) if auth is not None else None
        except HopspanError as error:
            raise HopspanError(f"auth.{error}") from error

    def read_authorization(self) -> str | None:
        """Return the value of the Authorization header, with the file's first token; None where there is no file."""
        if self._file is None:
            return None
        token = self._file.read(time.monotonic_ns())[0]
        if token not in tuple(self._shown):
            self._shown.append(token)
        return f"Bearer {token}"

    def list_secrets(self) -> tuple[str, ...]:
        """Return what no text that may be logged shall repeat, the longest first."""
        return tuple(sorted({*self._secrets, *self._shown}, key=len, reverse=True))
