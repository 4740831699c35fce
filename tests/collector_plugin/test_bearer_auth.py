"""Bearer tokens: who is let in, what a renewed file changes, and that no token is ever shown."""

from pathlib import Path

import pytest

from collector_plugin.bearer_auth import BearerAuth, BearerTokens
from hopspan.errors import HopspanError
from hopspan.token_file import RENEW_INTERVAL_NS


@pytest.mark.parametrize(
    ("value", "is_allowed"),
    [
        (b"Bearer first", True),
        (b"bearer  second", True),
        (b"BEARER first ", True),
        (None, False),
        (b"", False),
        (b"Bearer", False),
        (b"Bearer ", False),
        (b"Bearer firs", False),
        (b"Bearer firstt", False),
        (b"Bearer First", False),
        (b"Bearer first second", False),
        (b"Basic first", False),
        (b"first", False),
        (b"Bearer f\xffrst", False),
        (b"Bearer " + b"x" * 100_000, False),
    ],
)
def test_only_a_known_token_lets_in(value: bytes | None, is_allowed: bool) -> None:  # noqa: FBT001 - a column
    """The scheme in any case, the token to the letter (RFC 6750)."""
    assert BearerTokens(BearerAuth(tokens=("first", "second"))).is_allowed(value, 0) is is_allowed


def test_renewed_file_counts(tmp_path: Path) -> None:
    """Within a second, also by a new file in its place; while it cannot be read the old one counts."""
    path = tmp_path / "tokens"
    path.write_text("old\n\nother\n")
    tokens = BearerTokens(BearerAuth(bearer_token_file=str(path)))
    assert tokens.is_allowed(b"Bearer old", 0)
    assert tokens.is_allowed(b"Bearer other", 0)
    new = tmp_path / "new"
    new.write_text("renewed\n")
    new.replace(path)
    assert tokens.is_allowed(b"Bearer old", RENEW_INTERVAL_NS - 1)
    assert tokens.is_allowed(b"Bearer renewed", RENEW_INTERVAL_NS)
    assert not tokens.is_allowed(b"Bearer old", RENEW_INTERVAL_NS)
    path.write_text("")
    assert tokens.is_allowed(b"Bearer renewed", 2 * RENEW_INTERVAL_NS)
    path.unlink()
    assert tokens.is_allowed(b"Bearer renewed", 3 * RENEW_INTERVAL_NS)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"two words\n", b"caf\xc3\xa9\n", b"x" * 100_000])
def test_file_without_tokens_is_told_at_the_start(tmp_path: Path, content: bytes) -> None:
    """By key and name, and never by what is in it."""
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(HopspanError) as caught:
        BearerTokens(BearerAuth(bearer_token_file=str(path)))
    assert str(caught.value).startswith(f"bearer_token_file: {path} ")
    assert "words" not in str(caught.value)


def test_absent_file_is_told_at_the_start(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(HopspanError, match=r"bearer_token_file: .*absent cannot be read: No such file"):
        BearerTokens(BearerAuth(bearer_token_file=str(tmp_path / "absent")))


@pytest.mark.parametrize(
    ("auth", "faults"),
    [
        (BearerAuth(tokens=("a",)), []),
        (BearerAuth(), ["tokens: missing (or bearer_token_file)"]),
        (BearerAuth(tokens=()), ["tokens: expected at least one"]),
        (BearerAuth(tokens=("a",), bearer_token_file=str(Path("f"))), ["bearer_token_file: exclusive with tokens"]),
        (
            BearerAuth(tokens=("a", "s3cret word", "")),
            [f"tokens[{index}]: is not a bearer token (letters, digits and -._~+/=)" for index in (1, 2)],
        ),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant(auth: BearerAuth, faults: list[str]) -> None:
    """Each fault is told, and none tells a token."""
    assert list(auth.validate()) == faults


def test_no_token_is_shown() -> None:
    """Neither by the settings, which may end in a log, nor by those that hold them."""
    assert "s3cret" not in repr(BearerAuth(tokens=("s3cret",)))
