"""Reading YAML into Structs: every fault in one line with the full path of its key."""

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.config import MAX_CONFIG_BYTES, ConfigError, parse_config, read_config
from hopspan.settings import OtlpExporter
from hopspan.values import Duration, Named, NotAvailable


class Colour(enum.StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A nested Struct with a rule of its own."""

    wait: Duration = 5
    names: tuple[str, ...] = ()
    text: str | None = None

    def validate(self) -> Iterator[str]:
        """Refuse one name."""
        if "bad" in self.names:
            yield "names: must not hold bad"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration with one of everything."""

    must: int
    inner: Inner = Inner()
    colour: Colour = Colour.RED
    is_on: bool = False
    size: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3
    labels: dict[str, str] = {}
    parts: Annotated[dict[str, OtlpExporter], Named({"otlp": OtlpExporter, "zipkin": None})] = {}
    later: NotAvailable = None


GOOD = [
    ("must: 1", Sample(must=1)),
    ("must: 1\ninner:\ncolour: blue\n", Sample(must=1, colour=Colour.BLUE)),
    (
        "must: 1\ninner: {wait: 2s, names: [a, 'on'], text: x}",
        Sample(must=1, inner=Inner(wait=2 * 10**9, names=("a", "on"), text="x")),
    ),
    (
        "must: 1\ninner: {text: null}\nlabels: {a: b}\nis_on: true\nsize: 9",
        Sample(must=1, labels={"a": "b"}, is_on=True, size=9),
    ),
]

FAULTY = [
    ("", ["must: missing"]),
    ("[]", ["expected a mapping of keys"]),
    ("3", ["expected a mapping of keys"]),
    ("mus: 1", ["mus: unknown key (did you mean must?)", "must: missing"]),
    ("must: 1\nxyzzy: 2", ["xyzzy: unknown key"]),
    ("must: one", ["must: expected int, got str"]),
    ("must: 1\nmust: 2", ["must: given twice (line 2)"]),
    ("must: 1\ninner: {wait: 60 seconds}", ["inner.wait: '60 seconds' is not a duration (such as 500ms, 60s, 10m)"]),
    ("must: 1\ninner: {wait: }", ["inner.wait: expected a value"]),
    ("must: 1\ninner: {wait: [1s]}", ["inner.wait: expected a value"]),
    ("must: 1\ninner: 3", ["inner: expected a mapping"]),
    ("must: 1\ninner: {names: a}", ["inner.names: expected a list"]),
    ("must: 1\ninner: {names: [a, 2]}", ["inner.names[1]: expected str, got int"]),
    ("must: 1\ninner: {names: [bad]}", ["inner.names: must not hold bad"]),
    ("must: 1\ncolour: green", ["colour: 'green' is not one of red, blue"]),
    ("must: 1\nis_on: 'yes'", ["is_on: expected bool, got str"]),
    ("must: 1\nsize: 10", ["size: expected int <= 9"]),
    ("must: 1\nlabels: {a: 1, b: [x]}", ["labels.a: expected str, got int", "labels.b: expected str, got array"]),
    ("must: 1\nlater: {}", ["later: is not available in this version"]),
    ("must: 1\nparts: {zipkin: {}}", ["parts.zipkin: is not available in this version"]),
    ("must: 1\nparts: {otlp: {}}", ["parts.otlp.endpoint: missing"]),
    ("must: 1\nparts: {otlp/2: {endpoint: 'a:0'}}", ["parts.otlp/2.endpoint: port 0 cannot be connected to"]),
    ("must: 1\nparts: {otpl: {}}", ["parts.otpl: unknown type (did you mean otlp?)"]),
    ("must: 1\nparts: {otlp/: {}}", ["parts.otlp/: unknown type (did you mean otlp?)"]),
    ("must: 1\n? [a]\n: 2", ["document: a key is no plain name"]),
    ("must: &a 1\nsize: *a", ["is not YAML: aliases are not accepted (line 2)"]),
    ("must: {", ["is not YAML: expected the node content, but found '<stream end>' (line 1)"]),
    ("must: 1\n---\nmust: 2", ["is not YAML: but found another document (line 2)"]),
    ("[" * 5000, ["is not YAML: nested too deeply (line 1)"]),
    ("must: \0", ["is not YAML: unacceptable character #x0000: special characters are not allowed"]),
    ("#" * (MAX_CONFIG_BYTES + 1), [f"is longer than {MAX_CONFIG_BYTES} bytes"]),
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_text_is_read_into_structs(text: str, expected: Sample) -> None:
    """Absent keys and empty mappings take their defaults; a quoted `on` is text."""
    assert parse_config(text, Sample) == expected


@pytest.mark.parametrize(("text", "faults"), FAULTY)
def test_fault_names_its_key(text: str, faults: list[str]) -> None:
    """Each fault is one line that begins with the full path of its key."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, Sample)
    assert list(caught.value.faults) == faults
    assert str(caught.value) == "\n".join(faults)


def test_all_faults_are_told_at_once() -> None:
    """One run shows everything that is wrong, in the order of the file, what is missing last."""
    with pytest.raises(ConfigError) as caught:
        parse_config("colour: green\ninner: {wait: x, nam: 1}\nsize: 0", Sample)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "colour", "inner.wait", "inner.nam", "size", "must",
    ]  # fmt: skip


def test_file_is_read(tmp_path: Path) -> None:
    """A file is read as UTF-8."""
    path = tmp_path / "config.yaml"
    path.write_text("must: 1\nlabels: {a: ü}", encoding="utf-8")
    assert read_config(path, Sample) == Sample(must=1, labels={"a": "ü"})


def test_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    """A file that is absent, or no text, is told as a fault and not as a traceback."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_config(tmp_path / "absent", Sample)
    (tmp_path / "binary").write_bytes(b"must: \xff")
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 6\)"):
        read_config(tmp_path / "binary", Sample)


@given(st.text(alphabet="ab:{}[],-&*!|>'\"\n #?%@0~", max_size=60))
def test_any_text_gives_a_value_or_the_documented_error(text: str) -> None:
    """The reader answers every text with a value or ConfigError."""
    try:
        parse_config(text, Sample)
    except ConfigError:
        return
