"""Conjunctive queries over an instance: text or values in, a table of columns out.

>>> from sim2real_cat.acsets.acset import ACSet
>>> from sim2real_cat.acsets.schema import Schema
>>> graph = ACSet(Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")}))
>>> _ = graph.add_parts("V", 3), graph.add_parts("E", 3, src=[0, 1, 1], tgt=[1, 2, 0])
>>> query(graph, "E(src=a, tgt=b), E(src=b, tgt=c)", where="a != c")
<Table of 1 row>
a  b  c
0  1  2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.query.engine import Engine, answer, answers, count
from sim2real_cat.acsets.query.syntax import Atom, Comparison, ConjunctiveQuery, Constant, Parameter, Variable
from sim2real_cat.acsets.query.table import Table
from sim2real_cat.acsets.query.text import parse
from sim2real_cat.errors import SchemaError

__all__ = [
    "Atom",
    "Comparison",
    "ConjunctiveQuery",
    "Constant",
    "Engine",
    "Parameter",
    "Table",
    "Variable",
    "answer",
    "answers",
    "count",
    "parse",
    "query",
]


def query(
    instance: ACSet,
    body: str,
    out: Sequence[str] | None = None,
    *,
    where: str | None = None,
    params: Mapping[str, object] | None = None,
    distinct: bool = False,
    engine: Engine = "auto",
) -> Table:
    """Answer a query written as the body of Catlab's ``@relation``.

    Args:
        instance: the instance to ask.
        body: atoms like ``SimEnv(_id=e, train=p), Policy(_id=p, kl_gap=g)``: a variable that stands in two
            places has the same value there; ``_id`` is the part itself. Numbers, texts in quotes, true, false and
            ``$parameters`` are values.
        out: the variables to give out; None for all of them, in the order of their first appearance.
        where: comparisons like ``g > 0.1 and name != $name``.
        params: values of ``$names``, and, as in Catlab, of variables, by name.
        distinct: whether to leave out repeated rows; otherwise each assignment of parts to atoms is a row.
        engine: "numpy", "duckdb" or "auto"; see :func:`answer`, also for what matches and for the order of rows.

    Raises:
        SchemaError: for a text that is no query, and where names or types do not fit the schema.
        InstanceError: for a value that does not fit, and an answer that is too large.
        EngineError: for an engine that is not known or not installed.
    """
    if isinstance(out, str):
        raise SchemaError(f"out is a list of variables, not the text {out!r}: write [{out!r}]")
    asked = parse(body, None if out is None else tuple(out), where)
    return answer(instance, asked, params, distinct=distinct, engine=engine)
