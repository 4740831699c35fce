"""Configuration: YAML text to a frozen msgspec Struct, strictly. The only module that imports yaml.

Every fault is found in one pass and told in one line that begins with the full path of its key. A value is repeated
in a fault only where its type has no secrets (durations, endpoints, choices).
"""

import difflib
import enum
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from hopspan.errors import HopspanError
from hopspan.values import Named, Reader, Unavailable

MAX_CONFIG_BYTES = 1 << 20
"""1 MiB: a hundred times any sensible file, and little enough to read by mistake."""

MAX_DEPTH = 32
"""Levels of nesting; the deepest known key lies at 6, and PyYAML recurses."""

T = TypeVar("T")

_FAULTY: Any = object()
_NULL_TAG = "tag:yaml.org,2002:null"


class ConfigError(HopspanError):
    """The configuration cannot be used; `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: Iterable[str]) -> None:
        """Keep the faults; the error's text is their lines."""
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


def read_config(path: Path, kind: type[T]) -> T:
    """Return the Struct `kind` read from the file. Raises ConfigError, also where the file cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError([f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"is not UTF-8 (byte {error.start})"]) from error
    return parse_config(text, kind)


def parse_config(text: str, kind: type[T]) -> T:
    """Return the Struct `kind` (frozen, nested Structs) of the YAML text. An empty document is an empty mapping.

    A Struct may have a method `validate()` that returns faults as `key.path: reason`, seen from itself; it is called
    once all its keys were read. Raises ConfigError with all faults.
    """
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError([f"is longer than {MAX_CONFIG_BYTES} bytes"])
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ConfigError([f"is not YAML: {_describe_yaml_error(error)}"]) from error
    walk = _Walk(loader)
    value = walk.read_struct(node, kind, "")
    if walk.faults:
        raise ConfigError(walk.faults)
    return typing.cast("T", value)


class _Loader(yaml.SafeLoader):
    """Composes nodes only. Without aliases, which make small files huge, and not deeper than MAX_DEPTH."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not accepted", problem_mark=self._mark())
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=self._mark())
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def _mark(self) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
        return event.start_mark


class _Walk:
    """One pass over the nodes: values out, faults aside."""

    def __init__(self, loader: _Loader) -> None:
        self.faults: list[str] = []
        self._loader = loader

    def read_struct(self, node: yaml.Node | None, kind: type[Any], path: str) -> Any:
        entries = self._read_entries(node, path)
        if entries is None:
            return _FAULTY
        hints = typing.get_type_hints(kind, include_extras=True)
        before = len(self.faults)
        values = {}
        for name, child in entries.items():
            if name in hints:
                values[name] = self.read_value(child, hints[name], _join(path, name))
            else:
                self.faults.append(f"{_join(path, name)}: unknown key{_suggest(name, hints)}")
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in values:
                self.faults.append(f"{_join(path, field.name)}: missing")
        if len(self.faults) > before:
            return _FAULTY
        value = kind(**values)
        validate = getattr(value, "validate", None)
        if validate is not None:
            self.faults.extend(_join(path, fault) for fault in validate())
        return value

    def read_value(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if typing.get_origin(kind) is typing.Annotated:
            for mark in kind.__metadata__:
                if isinstance(mark, Reader):
                    return self._read_text(node, mark, path)
                if isinstance(mark, Named):
                    return self._read_named(node, mark, path)
                if isinstance(mark, Unavailable):
                    self.faults.append(f"{path}: is not available in this version")
                    return _FAULTY
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.read_struct(node, kind, path)
        return self._read_plain(node, kind, path)

    def _read_plain(self, node: yaml.Node, kind: Any, path: str) -> Any:
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (types.UnionType, typing.Union):
            if node.tag == _NULL_TAG:
                return None
            (inner,) = [a for a in arguments if a is not types.NoneType]
            return self.read_value(node, inner, path)
        if origin is dict:
            entries = self._read_entries(node, path) or {}
            return {k: self.read_value(v, arguments[1], _join(path, k)) for k, v in entries.items()}
        if origin is tuple:
            return self._read_sequence(node, arguments[0], path)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return self._read_text(node, Reader(lambda text: _read_choice(text, kind)), path)
        return self._read_scalar(node, kind, path)

    def _read_entries(self, node: yaml.Node | None, path: str) -> dict[str, yaml.Node] | None:
        if node is None or node.tag == _NULL_TAG:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.faults.append(f"{path}: expected a mapping" if path else "expected a mapping of keys")
            return None
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(f"{path or 'document'}: a key is no plain name")
            elif key.value in entries:
                self.faults.append(f"{_join(path, key.value)}: given twice (line {key.start_mark.line + 1})")
            else:
                entries[key.value] = value
        return entries

    def _read_named(self, node: yaml.Node, mark: Named, path: str) -> Any:
        values = {}
        for name, child in (self._read_entries(node, path) or {}).items():
            type_name, slash, variant = name.partition("/")
            if type_name not in mark.kinds or (slash and not variant):
                self.faults.append(f"{_join(path, name)}: unknown type{_suggest(type_name, mark.kinds)}")
                continue
            kind = mark.kinds[type_name]
            if kind is None:
                self.faults.append(f"{_join(path, name)}: is not available in this version")
            else:
                values[name] = self.read_struct(child, kind, _join(path, name))
        return values

    def _read_sequence(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            self.faults.append(f"{path}: expected a list")
            return _FAULTY
        return tuple(self.read_value(child, kind, f"{path}[{i}]") for i, child in enumerate(node.value))

    def _read_text(self, node: yaml.Node, reader: Reader, path: str) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL_TAG:
            self.faults.append(f"{path}: expected a value")
            return _FAULTY
        try:
            return reader.read(node.value)
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return _FAULTY

    def _read_scalar(self, node: yaml.Node, kind: Any, path: str) -> Any:
        try:
            return msgspec.convert(self._loader.construct_object(node, deep=True), kind)
        except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
            reason = str(error).split(" - at ")[0].replace("`", "")
            self.faults.append(f"{path}: {reason[:1].lower()}{reason[1:]}")
            return _FAULTY


def _read_choice(text: str, kind: type[enum.Enum]) -> enum.Enum:
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not one of {', '.join(str(m.value) for m in kind)}") from error


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _describe_yaml_error(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem} (line {mark.line + 1})" if mark is not None else problem
