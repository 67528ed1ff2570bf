"""Conjunctive queries: as values, and as the text that people write.

The text is the body of Catlab's ``@relation`` and a filter of comparisons:

    body        = [atom {separator atom}]            separator = "," | ";" | end of line
    atom        = name "(" [argument {"," argument}] ")"
    argument    = name "=" term
    filter      = [comparison {"and" comparison}]
    comparison  = term operator term
    term        = name | "$" name | number | string | "true" | "false"

The search for homomorphisms builds its queries from the classes here: the canonical query of an instance has one atom
for each part.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn, cast, get_args

from sim2real_cat.acsets.coercion import brief
from sim2real_cat.errors import SchemaError, listed

Value = Any
"""An id, or a value of an attribute type: float, int, str, bool, or whatever its codec has."""

ID = "_id"
"""The name of the argument that stands for the part itself, as in the exchange format."""

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
OPERATORS: tuple[Operator, ...] = get_args(Operator)


@dataclass(frozen=True)
class Variable:
    """A name that has one value in each row of the answer: a part of an object, or a value of an attribute."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Constant:
    """A value written in the query: an id where a part is meant, otherwise a value of an attribute."""

    value: Value

    def __str__(self) -> str:
        return json.dumps(self.value, ensure_ascii=False, default=repr)


@dataclass(frozen=True)
class Parameter:
    """A value, written ``$name``, that is handed over beside the query."""

    name: str

    def __str__(self) -> str:
        return f"${self.name}"


Term = Variable | Constant | Parameter


@dataclass(frozen=True)
class Atom:
    """A pattern for one part of an object, such as ``SimEnv(_id=e, train=p)``.

    Attributes:
        ob: the object.
        arguments: pairs of a name and a term: ``_id`` names the part itself, others are homs and attributes of ``ob``.
    """

    ob: str
    arguments: tuple[tuple[str, Term], ...] = ()

    def __str__(self) -> str:
        return f"{self.ob}({', '.join(f'{name}={term}' for name, term in self.arguments)})"


@dataclass(frozen=True)
class Comparison:
    """A condition ``left op right``, such as ``g > 0.1``."""

    left: Term
    op: Operator
    right: Term

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True)
class ConjunctiveQuery:
    """A query for all choices of parts, one for each atom, that agree on shared variables and pass the comparisons.

    Attributes:
        atoms: the atoms, in the order that sorts the rows of the answer.
        out: the variables to give out; None for all of them in the order of their first appearance.
        comparisons: conditions on the variables of the atoms.
    """

    atoms: tuple[Atom, ...]
    out: tuple[str, ...] | None = None
    comparisons: tuple[Comparison, ...] = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self.atoms))


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
    """Read a query from text.

    >>> print(parse("Policy(_id=p, kl_gap=g); SimEnv(train=p)", ("p",), "g > $eps").atoms[1])
    SimEnv(train=p)

    Raises:
        SchemaError: if the text is not a query; the message names the position.
    """
    comparisons = () if where is None else _Parser(where, "where").comparisons()
    return ConjunctiveQuery(_Parser(body, "query").atoms(), out, comparisons)


class _Parser:
    """A recursive-descent parser over the tokens of one text.

    Args:
        text: the text to read.
        what: the name of the text in messages.
    """

    def __init__(self, text: str, what: str) -> None:
        if not isinstance(text, str):
            raise SchemaError(f"the {what} must be a text, not {type(text).__name__}")
        self._text, self._what = text, what
        self._tokens = self._read()
        self._next = 0

    def atoms(self) -> tuple[Atom, ...]:
        """Read the whole text as a body."""
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
        """Read the whole text as a filter."""
        found: list[Comparison] = []
        self._skip("\n")
        while self._token.kind != "end" or found:
            left = self._term()
            op = self._take("operator", f"one of {listed(OPERATORS)}").text
            found.append(Comparison(left, cast(Operator, op), self._term()))
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
                self._refuse("cannot be read as part of a query", _Token("", self._text[position:], position))
            assert match.lastgroup is not None, "every alternative of the pattern has a name"
            if match.lastgroup != "space":
                tokens.append(_Token(match.lastgroup, match[0], position))
            position = match.end()
        return [*tokens, _Token("end", "", len(self._text))]
