"""Strategies of mutations: an instance in which exactly one law is broken, and which rows are wrong now."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import note
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import LawError, unknown_name
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import DEFAULT_EPSILON
from sim2real_cat.transfer.strategies.describe import Told, describe
from sim2real_cat.transfer.strategies.edits import EDITS, Columns, Edit, Row


@dataclass(frozen=True, eq=False)
class Mutation:
    """An instance that was changed so that one law does not hold any more.

    Attributes:
        instance: the changed instance.
        law: the name of the law that is violated.
        rows: where it is violated now and was not before, by object and 0-based id.
        what: what was changed, on one line.
    """

    instance: TransferInstance = field(repr=False)
    law: str
    rows: frozenset[Row]
    what: str

    def __str__(self) -> str:
        """What was changed, and the instance as a table in which the rows are marked."""
        return f"{self.law} is broken: {self.what}\n{describe(self.instance, self.rows)}"


def mutations(
    instance: TransferInstance, law: str | None = None, epsilon: float = DEFAULT_EPSILON
) -> st.SearchStrategy[Mutation]:
    """Changes of an instance that break exactly one law.

    A change of a row that is there, or rows that are added, so there is one for every instance and every law. They
    are made from rows that are as the laws want them, and no law is asked on the way.

    Args:
        instance: an instance in which no law is violated; it stays as it is.
        law: the name of the law to break, of `LAWS`; any of them where none is given.
        epsilon: bound under which a policy transfers.

    Raises:
        LawError: an unknown law.
    """
    if law is not None and law not in EDITS:
        raise LawError(unknown_name("law", law, EDITS))
    return _mutations(instance, list(EDITS) if law is None else [law], epsilon)


@st.composite
def _mutations(draw: st.DrawFn, instance: TransferInstance, laws: list[str], epsilon: float) -> Mutation:
    law = draw(st.sampled_from(laws))
    edit = draw(st.sampled_from(list(EDITS[law](Columns(instance.acset, epsilon)))))
    x = instance.acset.copy()
    what = _apply(draw, x, edit)
    mutation = Mutation(TransferInstance(x), law, frozenset(edit.rows), what)
    note(Told(lambda: str(mutation)))
    return mutation


def _apply(draw: st.DrawFn, x: ACSet, edit: Edit) -> str:
    """Change an instance, and say how."""
    said = []
    before = {ob: x.nparts(ob) for ob in x.schema.obs}
    for ob, row in edit.changes:
        x.add_parts(ob, max(row + 1 - x.nparts(ob), 0))
    for (ob, row), values in edit.changes.items():
        drawn = {name: draw(v) if isinstance(v, st.SearchStrategy) else v for name, v in values.items()}
        new = row >= before[ob]
        changes = [
            f"{name}={value}" if new else f"{name} {x.subpart((name,), row)} -> {value}"
            for name, value in drawn.items()
            if new or x.subpart((name,), row) != value
        ]
        x.set(ob, row, **drawn)
        said.append(f"{'new ' if new else ''}{ob} {row}: {', '.join(changes) or 'nothing'}")
    return "; ".join(said)
