"""Strict reading of JSON text, with errors of one line that say where and what to do."""

from __future__ import annotations

import json
import re

from sim2real_cat.errors import ExchangeError, one_line

_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_UNFINISHED_NUMBER = re.compile(r"\.|[eE][+-]?")


def parse_json(text: str, source: str) -> object:
    """Return the value of a JSON text.

    ``NaN`` and ``Infinity`` come through as floats, so that the caller, who knows the row, refuses them.

    Raises:
        ExchangeError: not JSON, cut short (with the character), nested too deep, or a repeated key.
    """
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unrepeated(pairs, source))
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ExchangeError(f"{source}: the text is empty: expected a JSON object") from None
        remedy = "the file looks cut short: write it again" if _cut_short(text, error) else "mend the text there"
        place = f"line {error.lineno}, character {error.pos}"
        raise ExchangeError(f"{source}: not JSON at {place} ({error.msg}): {remedy}") from None
    except RecursionError:
        raise ExchangeError(f"{source}: not an exchange file: its JSON is nested too deep") from None
    except ValueError as error:  # an integer with more digits than Python converts
        reason = one_line(error)
        raise ExchangeError(f"{source}: a number cannot be read ({reason}): shorten it") from None


def _unrepeated(pairs: list[tuple[str, object]], source: str) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ExchangeError(f"{source}: key {twice!r} occurs twice in one JSON object: keep one of them")
    return result


def _cut_short(text: str, error: json.JSONDecodeError) -> bool:
    """Return whether the reader failed because the text ended, not because of what it says."""
    rest = text[error.pos :].strip()
    return (
        error.msg.startswith("Unterminated string")
        or (error.msg.startswith("Invalid \\") and len(rest) < len("\\u0000"))
        or _UNFINISHED_NUMBER.fullmatch(rest) is not None
        or any(literal.startswith(rest) for literal in _LITERALS)
    )
