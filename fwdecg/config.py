"""Strict conversion between TOML presets and frozen dataclasses; overrides, help text and hashes.

A configuration is a tree of frozen, keyword-only dataclasses. Each class is defined next to the
code it configures. Its fields are declared with `setting`, which keeps the default, meaning and
rule of a key together. A value that breaks its rule raises a `ConfigError` with key, value, rule
and remedy.
"""

import dataclasses
import hashlib
import json
import math
import operator
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fwdecg.errors import ConfigError

C = TypeVar("C")

# Keys of the metadata of dataclass fields.
RULE = "rule"
MEANING = "meaning"
IDENTITY = "identity"
ADDED = "added"
REPLACES = "replaces"

# Changes of single keys: "section.key=value" each, or values by "section.key".
Overrides = Sequence[str] | Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """Condition on a value, or on each value of a list. Infinity and NaN break every rule."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    ascending: bool = False

    def broken_by(self, value: Any) -> str | None:
        """Return the text of the first condition that `value` breaks, or None."""
        bounds = (
            ("above", self.above, operator.gt),
            ("at least", self.at_least, operator.ge),
            ("at most", self.at_most, operator.le),
            ("below", self.below, operator.lt),
        )
        for number in _numbers(value):
            if isinstance(number, float) and not math.isfinite(number):
                return "must be finite"
            for words, bound, holds in bounds:
                if bound is not None and not holds(number, bound):
                    return f"must be {words} {bound:g}"
        if self.ascending and value[0] > value[1]:
            return "a range must run from low to high"
        chosen, words = (value, "a list of") if isinstance(value, tuple) else ((value,), "one of")
        if self.choices and not set(chosen) <= set(self.choices):
            return f"must be {words} {', '.join(self.choices)}"
        return None


def setting(
    default: Any = dataclasses.MISSING,
    meaning: str = "",
    *,
    identity: bool = True,
    added: bool = False,
    replaces: str = "",
    **rule: Any,
) -> Any:
    """Return a dataclass field with default, meaning and rule.

    Args:
        default: value used if the preset omits the key; for a section, its configuration class.
            Without a default the key is required.
        meaning: phrase for `--help`, with the unit unless the key's name contains it.
        identity: False for a key that does not change the content of the result, such as a path or
            a number of workers. Such keys are excluded from `identity_hash`.
        added: True for a key that older results lack. It is excluded while it has its default, so
            that these results keep their hash.
        replaces: another key of the section, which an override of this key removes.
        **rule: fields of `Rule`.
    """
    metadata = {
        MEANING: meaning,
        RULE: Rule(**rule),
        IDENTITY: identity,
        ADDED: added,
        REPLACES: replaces,
    }
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Configuration:
    """Base of the classes that configure a section of a preset."""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for the first field that breaks its rule."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            problem = field.metadata.get(RULE, Rule()).broken_by(value)
            if problem:
                raise ConfigError(f"{field.name} = {value!r}: {problem}")


def load(kind: type[C], path: str | Path, overrides: Overrides = ()) -> C:
    """Read a configuration of class `kind` from a TOML file.

    Args:
        kind: configuration class of the whole file.
        path: path of the TOML file.
        overrides: changes of single keys.

    Raises:
        ConfigError: the file is missing or not TOML, or a key, type or value is not acceptable.
    """
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{path}: {reason}; give the path of a TOML preset") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    _apply_overrides(kind, tree, overrides)
    return from_tree(kind, tree)


def with_overrides(config: C, overrides: Overrides) -> C:
    """Return a configuration with changes of single keys.

    Raises:
        ConfigError: a key, type or value is not acceptable.
    """
    kind, tree = type(config), to_tree(config)
    _apply_overrides(kind, tree, overrides)
    return from_tree(kind, tree)


def from_tree(kind: type[C], tree: dict[str, Any], prefix: str = "") -> C:
    """Convert a tree of plain values into a configuration of class `kind`.

    Args:
        kind: configuration class.
        tree: nested plain values, as parsed from TOML or JSON.
        prefix: dotted name of the section with a trailing dot, for messages.

    Raises:
        ConfigError: a key, type or value is not acceptable, or a required key is missing.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in tree:
        if key not in fields:
            known = ", ".join(fields)
            raise ConfigError(f"unknown key {prefix}{key}; known here: {known}")
    values = {key: _convert(hints[key], value, prefix + key) for key, value in tree.items()}
    for name, field in fields.items():
        missing = field.default is field.default_factory is dataclasses.MISSING
        if missing and name not in values:
            raise ConfigError(f"{prefix}{name} is missing; add it to the preset")
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from error


def to_tree(config: Any) -> dict[str, Any]:
    """Return a configuration as nested plain values (dict, list, str, int, float, bool)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_toml(tree: dict[str, Any], section: str = "") -> str:
    """Return the TOML text of nested plain values; keys with the value None are omitted."""
    lines = [
        f"{_toml_key(key)} = {_toml_text(value)}\n"
        for key, value in tree.items()
        if value is not None and not isinstance(value, dict)
    ]
    head = [f"[{section}]\n"] if section and lines else []
    parts = ["".join([*head, *lines])] if lines else []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            parts.append(to_toml(value, f"{section}.{_toml_key(key)}".lstrip(".")))
    return "\n".join(parts)


def identity_tree(config: Any) -> dict[str, Any]:
    """Return `to_tree` without the keys that do not change the content of the result."""
    tree = to_tree(config)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        added = field.metadata.get(ADDED, False) and value == _default(field)
        if added or not field.metadata.get(IDENTITY, True):
            del tree[field.name]
        elif dataclasses.is_dataclass(value):
            tree[field.name] = identity_tree(value)
    return tree


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def identity_hash(*configs: Any) -> str:
    """Return twelve hexadecimal digits that identify the content of a result.

    Args:
        *configs: configurations and plain values on which the result depends; a plain value can be
            the hash of the previous stage.
    """
    parts = [identity_tree(c) if dataclasses.is_dataclass(c) else c for c in configs]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def differing_keys(first: dict[str, Any], second: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the sorted dotted names of the keys whose values differ between two trees."""
    names: list[str] = []
    for key in sorted(first.keys() | second.keys()):
        a, b = first.get(key), second.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names += differing_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(prefix + key)
    return names


def describe_keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Yield one line per key for `--help`: dotted name, type, default and meaning."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from describe_keys(typing.cast(type, hint), f"{prefix}{field.name}.")
            continue
        default = "required"
        if field.default is not dataclasses.MISSING:
            default = f"default {_toml_text(field.default)}"
        elif field.default_factory is not dataclasses.MISSING:
            default = "default empty"
        meaning = field.metadata.get(MEANING, "")
        yield f"{prefix}{field.name} ({_type_name(hint)}, {default}): {meaning}"


def _apply_overrides(kind: type, tree: dict[str, Any], overrides: Overrides) -> None:
    if isinstance(overrides, str):
        raise ConfigError(f"{overrides!r}: give a list of settings, or values by key")
    if isinstance(overrides, Mapping):
        for name, value in overrides.items():
            if not isinstance(name, str):
                raise ConfigError(f"{name!r}: must be the name of a key, such as section.key")
            plain = value.tolist() if hasattr(value, "tolist") else value  # a NumPy value
            _apply_override(kind, tree, name, plain)
        return
    for override in overrides:
        if not isinstance(override, str):
            raise ConfigError(f"{override!r}: must be text that reads section.key=value")
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"{override}: must read section.key=value")
        _apply_override(kind, tree, name, text, parse=True)


def _apply_override(
    kind: type, tree: dict[str, Any], name: str, value: Any, *, parse: bool = False
) -> None:
    """Set a key in a tree; with `parse` the value is text."""
    *sections, key = name.strip().replace('"', "").split(".")
    hint: Any = kind
    for depth, section in enumerate(sections):
        if _is_table(hint):  # a key of the table may contain dots itself
            key = ".".join([*sections[depth:], key])
            break
        hint = typing.get_type_hints(hint).get(section)
        if not (dataclasses.is_dataclass(hint) or _is_table(hint)):
            raise ConfigError(f"{name}: there is no section {section}")
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{name}: the preset has {section} = {tree!r}, not a section")
    inner = Any if _is_table(hint) else typing.get_type_hints(hint).get(key)
    if dataclasses.is_dataclass(inner):  # its other keys would return to their defaults
        raise ConfigError(f"{name} is a section: set its keys one by one, as {name.strip()}.key")
    tree[key] = _parse_value(value, inner) if parse else value
    for field in () if _is_table(hint) else dataclasses.fields(hint):
        if field.name == key:
            tree.pop(field.metadata.get(REPLACES, ""), None)


def _parse_value(text: str, hint: Any) -> Any:
    if hint is str:
        return text.strip().strip("\"'")
    if text.strip() == "none" and _optional_type(hint) is not None:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _convert(hint: Any, value: Any, name: str) -> Any:
    """Return `value` as the annotated type. The only conversion between types is int to float."""
    if dataclasses.is_dataclass(hint) or _is_table(hint):
        if not isinstance(value, dict):
            raise _type_error(name, value, "section")
        return value if _is_table(hint) else from_tree(typing.cast(type, hint), value, f"{name}.")
    if typing.get_origin(hint) is tuple:
        return _convert_tuple(hint, value, name)
    optional = _optional_type(hint)
    if optional is not None:
        return None if value is None else _convert(optional, value, name)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ConfigError(f"{name}: is too large a number; lower it") from error
    if type(value) is not hint:
        raise _type_error(name, value, _type_name(hint))
    return value


def _convert_tuple(hint: Any, value: Any, name: str) -> tuple[Any, ...]:
    arguments = typing.get_args(hint)
    if not isinstance(value, list | tuple):
        raise _type_error(name, value, _type_name(hint))
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise ConfigError(f"{name} = {value!r}: must have {len(arguments)} entries")
    pairs = zip(arguments, value, strict=True)
    return tuple(_convert(inner, v, f"{name}[{i}]") for i, (inner, v) in enumerate(pairs))


def _optional_type(hint: Any) -> Any:
    """Return T for the annotation `T | None`, and None for all others."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return None
    (inner,) = (each for each in typing.get_args(hint) if each is not type(None))
    return inner


def _is_table(hint: Any) -> bool:
    """Return whether a type is a free-form table, whose keys are checked by its owner."""
    return typing.get_origin(hint) is dict


def _type_error(name: str, value: Any, wanted: str) -> ConfigError:
    return ConfigError(f"{name} = {value!r}: expected {wanted}, got {type(value).__name__}")


def _type_name(hint: Any) -> str:
    if _is_table(hint):
        return "section"
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is Ellipsis:
            return f"list of {_type_name(inner[0])}"
        return f"[{', '.join(_type_name(t) for t in inner)}]"
    optional = _optional_type(hint)
    if optional is not None:
        return f"{_type_name(optional)} or left out"
    names = {float: "number", int: "whole number", str: "text", bool: "true or false"}
    return names.get(hint, str(hint))


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key)


def _toml_text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
