"""Reading queries written as text: the body of Catlab's ``@relation``, and a filter of comparisons.

body        = [atom {separator atom}]            separator = "," | ";" | end of line
atom        = name "(" [argument {"," argument}] ")"
argument    = name "=" term
filter      = [comparison {"and" comparison}]
comparison  = term operator term
term        = name | "$" name | number | string | "true" | "false"
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.query.syntax import (
    OPERATORS,
    Atom,
    Comparison,
    ConjunctiveQuery,
    Constant,
    Parameter,
    Term,
    Value,
    Variable,
)
from sim2real_cat.errors import SchemaError, listed

_TOKENS = re.compile(
    r"""
    (?P<space>[ \t\r]+)
  | (?P<newline>\n)
  | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<parameter>\$[^\W\d]\w*)
  | (?P<name>[^\W\d]\w*)
  | (?P<operator>[<>=!]=|[<>])
  | (?P<mark>[(),;=])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"} | {mark: mark for mark in "\\\"'$"}
_WORDS = {"true": True, "false": False}


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(body: str, out: tuple[str, ...] | None = None, where: str | None = None) -> ConjunctiveQuery:
    """Read a query.

    >>> print(parse("Policy(_id=p, kl_gap=g); SimEnv(train=p)", ("p",), "g > $eps").atoms[1])
    SimEnv(train=p)

    Raises:
        SchemaError: where the text is not a query, with the place.
    """
    comparisons = () if where is None else _Parser(where, "where").comparisons()
    return ConjunctiveQuery(_Parser(body, "query").atoms(), out, comparisons)


class _Parser:
    """Recursive descent over the tokens of one text.

    Args:
        text: what to read.
        what: what messages call it.
    """

    def __init__(self, text: str, what: str) -> None:
        if not isinstance(text, str):
            raise SchemaError(f"the {what} must be a text, not {type(text).__name__}")
        self._text, self._what = text, what
        self._tokens = self._read()
        self._next = 0

    def atoms(self) -> tuple[Atom, ...]:
        """The whole text as a body."""
        found: list[Atom] = []
        self._skip("\n", ";")
        while self._token.kind != "end":
            found.append(self._atom())
            separated = self._skip("\n", ";")
            if self._token.text == ",":
                self._advance()
                self._skip("\n")
                if self._token.kind == "end":
                    self._expected("an atom after the comma")
            elif not separated and self._token.kind != "end":
                self._expected("a comma, a semicolon or a new line between atoms")
        return tuple(found)

    def comparisons(self) -> tuple[Comparison, ...]:
        """The whole text as a filter."""
        found: list[Comparison] = []
        self._skip("\n")
        while self._token.kind != "end" or found:
            left = self._term()
            op = self._take("operator", f"one of {listed(OPERATORS)}").text
            found.append(Comparison(left, op, self._term()))
            self._skip("\n")
            if self._token.kind == "end":
                break
            if self._token.text != "and":
                self._expected("'and' between comparisons")
            self._advance()
            self._skip("\n")
        return tuple(found)

    def _atom(self) -> Atom:
        ob = self._take("name", "the name of an object").text
        self._mark("(")
        arguments: list[tuple[str, Term]] = []
        self._skip("\n")
        while self._token.text != ")":
            name = self._take("name", "an argument as in train=p").text
            self._mark("=")
            arguments.append((name, self._term()))
            self._skip("\n")
            if self._token.text != ")":
                self._mark(",")
                self._skip("\n")
        self._mark(")")
        return Atom(ob, tuple(arguments))

    def _term(self) -> Term:
        token = self._token
        value: Value
        if token.kind == "number":
            value = float(token.text) if set(token.text) & set(".eE") else int(token.text)
        elif token.kind == "string":
            value = self._unescaped(token)
        elif token.kind == "name" and token.text in _WORDS:
            value = _WORDS[token.text]
        elif token.kind == "name" and token.text != "and":
            self._advance()
            return Variable(token.text)
        elif token.kind == "parameter":
            self._advance()
            return Parameter(token.text[1:])
        else:
            self._expected("a variable, a value or a $parameter")
        self._advance()
        return Constant(value)

    def _unescaped(self, token: _Token) -> str:
        def meant(match: re.Match[str]) -> str:
            if len(match[1]) > 1:
                return chr(int(match[1][1:], 16))
            if match[1] not in _ESCAPES:
                self._refuse(f"unknown escape '{match[0]}' in a text", token)
            return _ESCAPES[match[1]]

        return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", meant, token.text[1:-1], flags=re.DOTALL)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _advance(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip(self, *marks: str) -> bool:
        start = self._next
        while self._token.text in marks:
            self._advance()
        return self._next > start

    def _take(self, kind: str, wanted: str) -> _Token:
        if self._token.kind != kind:
            self._expected(wanted)
        return self._advance()

    def _mark(self, mark: str) -> None:
        if self._token.text != mark or self._token.kind != "mark":
            self._expected(f"'{mark}'")
        self._advance()

    def _expected(self, wanted: str) -> NoReturn:
        self._refuse(f"expected {wanted}", self._token)

    def _refuse(self, problem: str, token: _Token) -> NoReturn:
        found = "the end" if token.kind == "end" else "a new line" if token.kind == "newline" else brief(token.text)
        raise SchemaError(f"{self._what}, position {token.position + 1}: {problem}, found {found}")

    def _read(self) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        while position < len(self._text):
            match = _TOKENS.match(self._text, position)
            if match is None:
                self._refuse("this is no part of a query", _Token("", self._text[position:], position))
            assert match.lastgroup is not None, "every alternative of the pattern has a name"
            if match.lastgroup != "space":
                tokens.append(_Token(match.lastgroup, match[0], position))
            position = match.end()
        return [*tokens, _Token("end", "", len(self._text))]
