"""The strict reader of TOML tables: it refuses unknown keys and wrong types, and names the place in every complaint."""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from sim2real_cat.errors import Sim2RealError, listed, unknown_name

Filled = TypeVar("Filled")

_REQUIRED = object()


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value of a file is a finite number; true and false do not count."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


class TomlTable:
    """A TOML table that remembers which of its keys were asked for.

    Args:
        values: the table.
        place: where it stands, for messages, e.g. ``"study.toml [robots.hopper]"``.
        error: the exception that complaints are raised as.
        example: an example of the table, shown where `values` is something else.
    """

    def __init__(self, values: object, place: str, error: type[Sim2RealError], example: str = "") -> None:
        self.place = place
        self.error = error
        if not isinstance(values, Mapping):
            shown = f", as {example}" if example else ""
            raise self.refusal(f"needs to be a table{shown}, got {values!r}")
        self.values: Mapping[str, Any] = values
        self._known: list[str] = []

    @classmethod
    def read(cls, path: Path, kind: str, error: type[Sim2RealError]) -> TomlTable:
        """Read a TOML file, whose path is the place of the table.

        Args:
            path: the file.
            kind: what the file describes, for messages, e.g. ``"study"``.
            error: the exception that complaints are raised as.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise error(f"{path}: no such {kind}; give the path of a TOML file") from None
        except (OSError, UnicodeDecodeError) as problem:
            raise error(f"{path}: cannot be read as text: {problem}") from None
        try:
            return cls(tomllib.loads(text), str(path), error)
        except (ValueError, RecursionError) as problem:  # also a number of too many digits, brackets nested too deep
            raise error(f"{path}: not valid TOML: {problem}") from None

    def refusal(self, complaint: str) -> Sim2RealError:
        """Return the exception for a complaint about this table; it names the place."""
        return self.error(f"{self.place}: {complaint}")

    def has(self, key: str) -> bool:
        """Return whether an optional key is there."""
        self._known.append(key)
        return key in self.values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; it is required where there is no default, and never empty."""
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text", value)
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string; None where the key is missing."""
        return self.text(key) if self.has(key) else None

    def texts(self, key: str) -> list[str]:
        """Return a list of strings."""
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._wrong(key, "a list of texts", value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def integer(self, key: str, default: int | None = None, *, least: int | None = 1) -> int:
        """Return a whole number of at least `least`; it is required where there is no default."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
            raise self._wrong(key, "a whole number" + ("" if least is None else f" >= {least}"), value)
        return value

    def number(self, key: str, default: float | None = None, *, above: float = -math.inf) -> float:
        """Return a finite number greater than `above`; it is required where there is no default."""
        value = self._take(key, default)
        if not is_number(value) or not value > above:
            kind = "a finite number" if isinstance(value, float) and not math.isfinite(value) else "a number"
            raise self._wrong(key, kind + ("" if above == -math.inf else f" > {above:g}"), value)
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """Return a finite number; None where the key is missing."""
        return self.number(key) if self.has(key) else None

    def numbers(self, key: str) -> list[float]:
        """Return a list of finite numbers."""
        return self._finite(key, "a list of finite numbers, as in [0.5, 1, 2]")

    def pair(self, key: str) -> tuple[float, float]:
        """Return two finite numbers."""
        wanted = "two finite numbers, as in [0.8, 1.2]"
        numbers = self._finite(key, wanted)
        if len(numbers) != 2:
            raise self._wrong(key, wanted, self.values[key])
        return numbers[0], numbers[1]

    def rows(self, key: str) -> tuple[tuple[float, ...], ...]:
        """Return a matrix of finite numbers, row by row; the rows may differ in length."""
        value = self._take(key)
        if not isinstance(value, list) or not all(_is_numbers(row) for row in value):
            raise self._wrong(key, "a list of rows of finite numbers", value)
        return tuple(tuple(float(number) for number in row) for row in value)

    def table(self, key: str) -> TomlTable:
        """Return the table ``[place.key]``, empty where the key is missing."""
        self._known.append(key)
        inner = f"{self.place[:-1]}.{key}]" if self.place.endswith("]") else f"{self.place} [{key}]"
        return TomlTable(self.values.get(key, {}), inner, self.error)

    def tables(self, key: str, example: str) -> list[TomlTable]:
        """Return a list of tables, empty where the key is missing; a complaint shows the example."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
            raise self._wrong(key, f"a list of tables, as in [{example}]", value)
        return [TomlTable(entry, self.beside(key), self.error) for entry in value]

    def entry(self, key: str, example: str) -> TomlTable:
        """Return the table of a key that the user chose, such as the name of a parameter."""
        return TomlTable(self._take(key), self.beside(key), self.error, example)

    def beside(self, key: str) -> str:
        """Return the place of the entry of a key that the user chose, for messages."""
        return f"{self.place}{'' if self.place.endswith(']') else ','} '{key}'"

    def numbers_by_name(self, key: str) -> dict[str, float]:
        """Return a table of finite numbers, empty where the key is missing."""
        table = self.table(key)
        return {name: table.number(name) for name in table.values}

    def ranges_by_name(self, key: str) -> dict[str, tuple[float, float]]:
        """Return a table of pairs of finite numbers, empty where the key is missing."""
        table = self.table(key)
        return {name: table.pair(name) for name in table.values}

    def raw(self, key: str) -> Any:
        """Return the value of a key unchecked, None where it is missing; the caller checks it."""
        self._known.append(key)
        return self.values.get(key)

    def only(self, names: Iterable[str]) -> str:
        """Return the one of the names that is a key of this table.

        Raises:
            Sim2RealError: none or several of them are.
        """
        names = tuple(names)
        self._known += names
        found = [name for name in names if name in self.values]
        if len(found) != 1:
            raise self.refusal(f"needs exactly one of {listed(names)}, got {dict(self.values)!r}")
        return found[0]

    def fill(self, kind: Callable[..., Filled], **given: object) -> Filled:
        """Build a dataclass whose fields are the keys of this table, but for those that are given.

        Texts, numbers and truth values are checked against the types of the fields; the dataclass checks the rest.

        Raises:
            Sim2RealError: a key without a field, a field without a value or a default, or a value that does not fit.
        """
        readers: dict[str, Callable[[str], object]] = {
            "str": self._any_text,
            "float": self.number,
            "int": lambda key: self.integer(key, least=None),
            "bool": lambda key: self.flag(key, False),
        }
        wanted = [field for field in fields(kind) if field.name not in given]  # type: ignore[arg-type]  # a dataclass
        self._known += [field.name for field in wanted]
        self.close()
        filled = dict(given)
        for field in wanted:
            if field.name in self.values:
                read: Callable[[str], object] = readers.get(str(field.type).removesuffix(" | None"), self.raw)
                filled[field.name] = read(field.name)
            elif field.default is MISSING and field.default_factory is MISSING:
                raise self._missing(field.name)
        try:
            return kind(**filled)
        except Sim2RealError as error:
            raise self.refusal(str(error)) from None

    def close(self) -> None:
        """Refuse the first key that nobody asked for, and list those that are valid."""
        for key in self.values:
            if key not in self._known:
                raise self.refusal(unknown_name("key", key, sorted(set(self._known))))

    def _take(self, key: str, default: object = None) -> Any:
        self._known.append(key)
        value = self.values.get(key, _REQUIRED)
        if value is not _REQUIRED:
            return value
        if default is None:
            raise self._missing(key)
        return default

    def _any_text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return value

    def _finite(self, key: str, wanted: str) -> list[float]:
        value = self._take(key)
        if not _is_numbers(value):
            raise self._wrong(key, wanted, value)
        return [float(number) for number in value]

    def _wrong(self, key: str, wanted: str, value: object) -> Sim2RealError:
        return self.refusal(f"{key} needs to be {wanted}, got {value!r}")

    def _missing(self, key: str) -> Sim2RealError:
        return self.refusal(f"{key} is missing")


def _is_numbers(value: object) -> TypeGuard[list[int | float] | tuple[int | float, ...]]:
    return isinstance(value, list | tuple) and all(is_number(number) for number in value)
