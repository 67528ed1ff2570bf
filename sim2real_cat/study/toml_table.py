"""Read a TOML table strictly: every key is known, every value has its type, every complaint says where."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from sim2real_cat.errors import StudyError, unknown_name

_MISSING = object()


class Table:
    """A TOML table that remembers which of its keys were asked for.

    Args:
        values: the table.
        place: where it stands, for messages, e.g. ``"study.toml [robots.hopper]"``.
    """

    def __init__(self, values: object, place: str) -> None:
        if not isinstance(values, Mapping):
            raise StudyError(f"{place}: needs to be a table, got {values!r}")
        self.values: Mapping[str, Any] = values
        self.place = place
        self._known: list[str] = []

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required where there is no default."""
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            raise StudyError(f"{self.place}: {key} needs to be a text, got {value!r}")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string, or None where the key is missing."""
        self._known.append(key)
        return self.text(key) if key in self.values else None

    def integer(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number of at least `least`; required where there is no default."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise StudyError(f"{self.place}: {key} needs to be a whole number >= {least}, got {value!r}")
        return value

    def number(self, key: str, default: float | None = None, *, above: float = -math.inf) -> float:
        """A finite number greater than `above`; required where there is no default."""
        value = self._take(key, default)
        if not _is_number(value) or not value > above:
            bound = "" if above == -math.inf else f" > {above:g}"
            raise StudyError(f"{self.place}: {key} needs to be a number{bound}, got {value!r}")
        return float(value)

    def numbers(self, key: str) -> dict[str, float]:
        """A table of finite numbers, empty where the key is missing."""
        table = self.table(key)
        found = {name: table.number(name) for name in table.values}
        table.close()
        return found

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        value = self._take(key, None)
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise StudyError(f"{self.place}: {key} needs to be a list of texts, got {value!r}")
        return value

    def ranges(self, key: str) -> dict[str, tuple[float, float]]:
        """A table of pairs [low, high], empty where the key is missing."""
        table = self.table(key)
        found = {}
        for name, value in table.values.items():
            if not (isinstance(value, list) and len(value) == 2 and all(_is_number(end) for end in value)):
                raise StudyError(f"{table.place}: {name} needs to be [low, high], got {value!r}")
            found[name] = (float(value[0]), float(value[1]))
        return found

    def table(self, key: str) -> Table:
        """A table, empty where the key is missing."""
        self._known.append(key)
        return Table(self.values.get(key, {}), self._inner(key))

    def raw(self, key: str) -> Any:
        """Whatever the key holds, None where it is missing; the caller checks it."""
        self._known.append(key)
        return self.values.get(key)

    def close(self) -> None:
        """Complain about the first key that nobody asked for.

        Raises:
            StudyError: it names the key and lists those that are valid.
        """
        for key in self.values:
            if key not in self._known:
                raise StudyError(f"{self.place}: " + unknown_name("key", key, sorted(set(self._known))))

    def _take(self, key: str, default: object) -> Any:
        self._known.append(key)
        value = self.values.get(key, _MISSING)
        if value is not _MISSING:
            return value
        if default is None:
            raise StudyError(f"{self.place}: {key} is missing")
        return default

    def _inner(self, key: str) -> str:
        return f"{self.place[:-1]}.{key}]" if self.place.endswith("]") else f"{self.place} [{key}]"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
