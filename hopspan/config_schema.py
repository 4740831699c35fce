"""The JSON schema of a configuration, from the Structs that `hopspan.config` reads it into.

For editors, which complete and check keys by it; what only a program can tell (contradictions, ports in use) it does
not. Reads the source of the Structs' modules, since the texts under their fields are the documentation; else pure.
"""

import ast
import enum
import functools
import importlib
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from hopspan.values import Named, Reader, Unavailable

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def build_schema(kind: type[msgspec.Struct], title: str) -> Schema:
    """Return the schema of YAML documents that are read into the Struct `kind`."""
    return {"$schema": DIALECT, "title": title, **_describe_struct(kind)}


def _describe_struct(kind: type[Any]) -> Schema:
    hints = typing.get_type_hints(kind, include_extras=True)
    texts = _read_field_texts(kind)
    properties: Schema = {}
    fields = msgspec.structs.fields(kind)
    for field in fields:
        hint = hints[field.name]
        if not _is_unavailable(hint):
            text = texts.get(field.name)
            described = {**({"description": text} if text else {}), **_describe(hint)}
            has_default = not field.required and not _is_struct(hint)
            default = {"default": _write(_default_of(field), hint)} if has_default else {}
            properties[field.name] = {**described, **default}
    required = [field.name for field in fields if field.required]
    # A key without a value stands for an empty mapping, so what needs no key may be null.
    schema: Schema = {"type": "object" if required else ["object", "null"], "properties": properties}
    if required:
        schema["required"] = required
    return {**schema, "additionalProperties": False}


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _write(value: Any, hint: Any) -> Any:
    """Return a value as it would stand in the file."""
    if typing.get_origin(hint) is typing.Annotated and value is not None:
        readers = [mark for mark in hint.__metadata__ if isinstance(mark, Reader)]
        return readers[0].write(value) if readers else value
    return list(value) if isinstance(value, tuple) else value


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _describe(hint: Any) -> Schema:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _describe_marked(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [argument for argument in arguments if argument is not types.NoneType]
        return {"anyOf": [_describe(inner), {"type": "null"}]}
    if origin is dict:
        return {"type": ["object", "null"], "additionalProperties": _describe(arguments[1])}
    if origin is tuple:
        return {"type": "array", "items": _describe(arguments[0])}
    if _is_struct(hint):
        return _describe_struct(hint)
    is_choice = isinstance(hint, type) and issubclass(hint, enum.Enum)
    return {"enum": [member.value for member in hint]} if is_choice else msgspec.json.schema(hint)


def _describe_marked(hint: Any) -> Schema:
    for mark in hint.__metadata__:
        if isinstance(mark, Reader):
            schema: Schema = msgspec.json.decode(mark.schema)
            return schema
        if isinstance(mark, Named):
            return _describe_named(mark)
    return msgspec.json.schema(hint)


def _describe_named(mark: Named) -> Schema:
    kinds = {name: kind for name, kind in mark.kinds.items() if kind is not None}
    patterns = {
        f"^{re.escape(name)}(/.+)?$": {"description": inspect.getdoc(kind), **_describe_struct(kind)}
        for name, kind in kinds.items()
    }
    return {"type": "object", "patternProperties": patterns, "additionalProperties": False}


def _is_unavailable(hint: Any) -> bool:
    return any(isinstance(mark, Unavailable) for mark in getattr(hint, "__metadata__", ()))


def _read_field_texts(kind: type[Any]) -> Mapping[str, str]:
    texts: dict[str, str] = {}
    for ancestor in reversed(kind.__mro__):
        if issubclass(ancestor, msgspec.Struct) and ancestor is not msgspec.Struct:
            texts |= _read_texts_of_module(ancestor.__module__).get(ancestor.__name__, {})
    return texts


@functools.cache
def _read_texts_of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    source = inspect.getsource(importlib.import_module(name))
    return {
        node.name: dict(_list_texts(node)) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)
    }


def _list_texts(node: ast.ClassDef) -> list[tuple[str, str]]:
    texts = []
    for field, after in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            value = after.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                texts.append((field.target.id, inspect.cleandoc(value.value).replace("\n", " ")))
    return texts
