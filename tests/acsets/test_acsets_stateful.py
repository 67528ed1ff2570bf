"""An instance behaves like a list of dictionaries, whatever is done to it in whatever order."""

import pytest
from acset_strategies import values_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError

SCHEMA = Schema(
    "Model",
    obs=["A", "B"],
    homs={"f": ("A", "B"), "g": ("B", "B")},
    attrtypes={"X": float, "N": str},
    attrs={"x": ("A", "X"), "name": ("B", "N")},
)
TYPES = {"x": float, "name": str}


class Model(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.acset = ACSet(SCHEMA, unique_index=["name"])
        self.acset.add_vars("X", 2)
        self.rows = {"A": [], "B": []}

    def draw_row(self, data, ob, new=0):
        """Some columns of a row; sometimes an id that does not exist."""
        row = {}
        for name in SCHEMA.homs_from(ob):
            limit = len(self.rows["B"]) + (new if ob == "B" else 0)
            row[name] = data.draw(st.none() | st.integers(0, limit), label=name)
        for name in SCHEMA.attrs_from(ob):
            value = st.none() | values_of(TYPES[name])
            row[name] = data.draw(value | st.builds(Var, st.integers(0, 2)) if name == "x" else value, label=name)
        return {name: row[name] for name in row if data.draw(st.booleans(), label=f"give {name}")}

    def fits(self, ob, rows, ids, size):
        for row in rows:
            targets = size if ob == "B" else len(self.rows["B"])
            if any(row.get(name) is not None and row[name] >= targets for name in SCHEMA.homs_from(ob)):
                return False
            if row.get("x") == Var(2):
                return False
        if ob == "B":
            after = dict(enumerate(self.rows["B"]))
            for part, row in zip(ids, rows, strict=True):
                after[part] = {**after.get(part, {}), **row}
            names = [row["name"] for row in after.values() if row.get("name") is not None]
            return len(names) == len(set(names))
        return True

    def attempt(self, fits, mutate, ob, ids, rows):
        if not fits:
            before = self.acset.copy()
            with pytest.raises(InstanceError):
                mutate()
            assert self.acset == before
            return
        mutate()
        for part, row in zip(ids, rows, strict=True):
            if part == len(self.rows[ob]):
                self.rows[ob].append(dict.fromkeys((*SCHEMA.homs_from(ob), *SCHEMA.attrs_from(ob))))
            self.rows[ob][part].update(row)

    @rule(ob=st.sampled_from(["A", "B"]), data=st.data())
    def add(self, ob, data):
        row, size = self.draw_row(data, ob, new=1), len(self.rows[ob])
        fits = self.fits(ob, [row], [size], size + 1)
        self.attempt(fits, lambda: self.acset.add(ob, **row), ob, [size], [row])

    @rule(ob=st.sampled_from(["A", "B"]), n=st.integers(0, 3), data=st.data())
    def add_parts(self, ob, n, data):
        size = len(self.rows[ob])
        given = [self.draw_row(data, ob, new=n) for _ in range(n)]
        names = sorted(set().union(*given))
        rows = [{name: row.get(name) for name in names} for row in given]
        columns = {name: [row[name] for row in rows] for name in names}
        ids = list(range(size, size + n))
        fits = self.fits(ob, rows, ids, size + n)
        self.attempt(fits, lambda: self.acset.add_parts(ob, n, **columns), ob, ids, rows)

    @rule(ob=st.sampled_from(["A", "B"]), data=st.data())
    def set_several(self, ob, data):
        size = len(self.rows[ob])
        ids = data.draw(st.permutations(range(size)))[: data.draw(st.integers(0, size))]
        given = [self.draw_row(data, ob) for _ in ids]
        names = sorted(set().union(*given))
        rows = [{name: row.get(name) for name in names} for row in given]
        columns = {name: [row[name] for row in rows] for name in names}
        fits = self.fits(ob, rows, ids, size)
        self.attempt(fits, lambda: self.acset.set(ob, ids, **columns), ob, ids, rows)

    @invariant()
    def they_agree(self):
        for ob, rows in self.rows.items():
            assert self.acset.nparts(ob) == len(rows)
            for name in (*SCHEMA.homs_from(ob), *SCHEMA.attrs_from(ob)):
                column = [row[name] for row in rows]
                assert [self.acset.subpart(name, part) for part in range(len(rows))] == column
                for value in {value for value in column if value is not None}:
                    expected = [part for part, other in enumerate(column) if other == value]
                    assert self.acset.incident(value, name).tolist() == expected


TestModel = Model.TestCase
TestModel.settings = settings(derandomize=True, deadline=None, max_examples=40, stateful_step_count=12)
