"""Configuration: TOML files and ``--set section.key=value`` into validated, frozen attrs classes.

A plug-in's options are a frozen attrs class of plain values. Where it has an attribute ``preset``
and a class attribute ``presets`` (name to values), the values of the chosen preset lie between
the class's defaults and what the user set.
"""

import math
import operator
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)

from stempilot.errors import ConfigError
from stempilot.plugins.suggest import listed, meant

SECTIONS = ("task", "backend", "agent", "run")
Values = dict[str, Any]
C = TypeVar("C")

_MOST_NAMED, _LONGEST = 20, 1_000
"""So many problems are named at once, each in so many characters: what is read may be hostile."""

_ESCAPED = frozenset("\b\t\n\f\r")
_BACKSLASHES = (
    "in double quotes a backslash begins an escape such as \\n; write a path in single quotes, "
    "'C:\\new', or with forward slashes, C:/new"
)


def parse_setting(text: str, sections: Sequence[str] = SECTIONS) -> tuple[str, str, Any]:
    """Return section, key and value of ``section.key=value``.

    The value is read as TOML; what is not TOML is taken as plain text, and ``none`` as no value.

    Args:
        text: what was typed.
        sections: the sections there are.

    Raises:
        ConfigError: no ``=`` or no ``.`` in its left side, an unknown section, or backslashes that
            are no escapes.
    """
    name, equals, value = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        msg = f"--set {text!r} is not section.key=value, for example --set task.tolerance_px=2"
        raise ConfigError(msg)
    _known(section, sections, "section")
    return section, key, _parse_value(value.strip())


def _parse_value(text: str) -> Any:
    if text.lower() in {"none", "null"}:
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        # Plain text with both is no path: those have no double quotes on Windows.
        if '"' in text and "\\" in text:
            msg = f"--set: {text} is not TOML: {error}; {_BACKSLASHES}"
            raise ConfigError(msg) from error
        return text
    _require_no_escapes(value, text, "--set")
    return value


def _require_no_escapes(value: Any, text: str, where: object) -> None:
    r"""Refuse text such as that of ``"C:\new"``, whose backslash was an escape."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _require_no_escapes(item, text, where)
    elif isinstance(value, str) and "\\" in text and set(value) & _ESCAPED:
        msg = f"{where}: {value!r} holds control characters; {_BACKSLASHES}"
        raise ConfigError(msg)


def read_settings(
    file: Path | None, settings: Iterable[str], sections: Sequence[str] = SECTIONS
) -> dict[str, Values]:
    """Return the values of a TOML file overlaid with ``--set`` settings, by section.

    Args:
        file: the file, ``None`` for none.
        settings: what was typed.
        sections: the sections there are.

    Raises:
        ConfigError: the file cannot be read or parsed, or names an unknown section.
    """
    found: dict[str, Values] = {name: {} for name in sections}
    if file is not None:
        for name, values in read_toml(file).items():
            _known(name, sections, "section")
            if not isinstance(values, dict):
                msg = f"{file}: {name} must be a table, [{name}], not {values!r}"
                raise ConfigError(msg)
            found[name].update(values)
    for setting in settings:
        section, key, value = parse_setting(setting, sections)
        found[section][key] = value
    return found


def whole(name: str, value: int, *, least: int) -> int:
    """Return a whole number as a plain one, whichever of Python's or NumPy's it came as.

    Raises:
        ConfigError: it is another kind of value, or below the least one.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        msg = f"{name} {value!r} is not a whole number"
        raise ConfigError(msg)
    if number < least:
        msg = f"{name} {number} must be {least} or more"
        raise ConfigError(msg)
    return number


def read_toml(file: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ConfigError: it cannot be read or parsed.
    """
    text = _utf8(file)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{file} is not valid TOML: {error}{_escape_hint(text, str(error))}"
        raise ConfigError(msg) from error
    _require_no_escapes(content, text, file)
    return content


def _utf8(file: Path) -> str:
    """Return the text of a file; editors and shells of Windows write other encodings too."""
    try:
        content = file.read_bytes()
    except OSError as error:
        msg = f"cannot read {file}: {error.strerror}"
        raise ConfigError(msg) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    else:
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
        line = text[: text.index("\0")].count("\n") + 1
    msg = f"{file} is not UTF-8, in line {line}; save it as UTF-8"
    raise ConfigError(msg)


def _escape_hint(text: str, error: str) -> str:
    """Return what to do where the line at fault holds a backslash; else nothing."""
    found = re.search(r"at line (\d+)", error)
    line = text.split("\n")[int(found[1]) - 1] if found else ""
    return f"; {_BACKSLASHES}" if "\\" in line else ""


def build(kind: type[C], values: Mapping[str, Any], *, section: str) -> C:
    """Return a validated ``kind`` from plain values, with its preset applied.

    A class may list earlier names of its options in ``earlier``, old to new; they are still taken.

    Args:
        kind: a frozen attrs class.
        values: what the user set.
        section: what to call the values in messages, for example ``task``.

    Raises:
        ConfigError: unknown key (with the nearest names), wrong type, value out of range, unknown
            preset. The message names all unknown keys and all wrong types; an unknown preset hides
            the latter, and a wrong type hides a value out of range.
    """
    earlier: Mapping[str, str] = getattr(kind, "earlier", {})
    values = {earlier.get(key, key): value for key, value in values.items()}
    known = [attribute.name for attribute in attrs.fields(kind)]  # type: ignore[arg-type]
    what, prefix = f"option in section {section}", f"{section}."
    unknown = [key for key in values if key not in known]
    problems = [_unknown(key, known, what, prefix) for key in unknown[:_MOST_NAMED]]
    problems += [f"{len(unknown) - _MOST_NAMED} more"] if len(unknown) > _MOST_NAMED else []
    sound = {key: value for key, value in values.items() if key in known}
    try:
        made = _CONVERTER.structure({**_preset(kind, sound, section), **sound}, kind)
    except ClassValidationError as error:
        problems += _problems(error, section)
    except ConfigError as error:
        problems.append(str(error))
    except (TypeError, ValueError) as error:
        problems.append(f"{section}: {error}")
    if problems:
        raise ConfigError("; ".join(map(_shortened, problems[: _MOST_NAMED + 1])))
    return made


def _shortened(problem: str) -> str:
    return problem if len(problem) <= _LONGEST else f"{problem[:_LONGEST]}..."


def _preset(kind: type[Any], values: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    presets: Mapping[str, Mapping[str, Any]] | None = getattr(kind, "presets", None)
    if presets is None:
        return {}
    default = attrs.fields_dict(kind)["preset"].default
    chosen = values.get("preset", default)
    _known(str(chosen), list(presets), f"{section}.preset")
    return presets[str(chosen)]


def plain(config: Any) -> Values:
    """Return the configuration as plain JSON values; `build` of it gives an equal object."""
    values = _CONVERTER.unstructure(config)
    return typing.cast("Values", values)


def defaults(kind: type[Any]) -> Values:
    """Return the plain default values of a configuration class that has them all."""
    return plain(kind())


def require_sections(settings: Mapping[str, Any]) -> None:
    """Check that all settings are in sections that there are.

    Raises:
        ConfigError: a section is unknown; with the nearest names.
    """
    for name in settings:
        _known(name, SECTIONS, "section")


def _known(name: str, known: Iterable[str], what: str) -> None:
    choices = list(known)
    if name not in choices:
        raise ConfigError(_unknown(name, choices, what))


def _unknown(name: str, known: Sequence[str], what: str, prefix: str = "") -> str:
    """Return the sentence for a name that is none of those known, with the nearest of them."""
    return f"unknown {what}: {prefix}{name}; {meant(name, known, prefix)}"


def _problems(error: BaseException, path: str) -> list[str]:
    """Return one readable line for each leaf of a nested validation error."""
    if isinstance(error, ClassValidationError):
        located, plain_ones = error.group_exceptions()
        lines = [line for e, note in located for line in _problems(e, f"{path}.{note.name}")]
        return lines + [line for e in plain_ones for line in _problems(e, path)]
    if isinstance(error, IterableValidationError):
        items, others = error.group_exceptions()
        lines = [line for e, note in items for line in _problems(e, f"{path}[{note.index}]")]
        return lines + [line for e in others for line in _problems(e, path)]
    if isinstance(error, ForbiddenExtraKeysError):
        known = attrs.fields_dict(error.cl)
        return [f"{path}: {_unknown(n, list(known), 'key')}" for n in sorted(error.extra_fields)]
    if isinstance(error, KeyError):
        return [f"{path}: {error.args[0]} is missing"]
    return [f"{path}: {error.args[0] if error.args else error}"]


def _strict_float(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{value!r} is not a number"
        raise TypeError(msg)
    if not math.isfinite(value):
        msg = f"{value!r} is not finite"
        raise ValueError(msg)
    return float(value)


def _strict_int(value: Any, _: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{value!r} is not a whole number"
        raise TypeError(msg)
    return value


def _strict_bool(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        msg = f"{value!r} is not true or false"
        raise TypeError(msg)
    return value


def _strict_str(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is not text"
        raise TypeError(msg)
    return value


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in {typing.Union, types.UnionType}


def _structure_union(value: Any, kind: Any) -> Any:
    """Take the first alternative that fits; no value only where that is one of them."""
    alternatives = typing.get_args(kind)
    if value is None and type(None) in alternatives:
        return None
    reasons: list[str] = []
    for alternative in alternatives:
        if alternative is type(None):
            continue
        try:
            return _CONVERTER.structure(value, alternative)
        except ClassValidationError as error:
            reasons += _problems(error, "")
        except (TypeError, ValueError, IterableValidationError) as error:
            reasons.append(str(error.args[0] if error.args else error))
    msg = " and ".join(dict.fromkeys(reasons))
    raise ValueError(msg)


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal


def _structure_literal(value: Any, kind: Any) -> Any:
    choices = typing.get_args(kind)
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise ValueError(listed(f"{value!r} is not one of", str(value), map(str, choices)))


def _is_tuple(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _structure_tuple(value: Any, kind: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        msg = f"{value!r} is not a list"
        raise TypeError(msg)
    items = typing.get_args(kind)
    if len(items) == 2 and items[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        items = (items[0],) * len(value)
    if len(items) != len(value):
        msg = f"{value!r} has {len(value)} entries, not {len(items)}"
        raise ValueError(msg)
    return tuple(_CONVERTER.structure(v, k) for v, k in zip(value, items, strict=True))


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(float, _strict_float)
    converter.register_structure_hook(int, _strict_int)
    converter.register_structure_hook(bool, _strict_bool)
    converter.register_structure_hook(str, _strict_str)
    converter.register_structure_hook_func(_is_union, _structure_union)
    converter.register_structure_hook_func(_is_literal, _structure_literal)
    converter.register_structure_hook_func(_is_tuple, _structure_tuple)
    converter.register_unstructure_hook_func(_is_tuple, _plain_list)
    return converter


def _plain_list(value: Any) -> list[Any]:
    return [_CONVERTER.unstructure(item) for item in value]


_CONVERTER = _make_converter()
