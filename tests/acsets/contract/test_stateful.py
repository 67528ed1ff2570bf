"""An instance behaves like a list of dictionaries, whatever is done to it in whatever order."""

import pytest
from acset_strategies import values_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

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
    def __init__(self, engine):
        super().__init__()
        self.acset = ACSet(SCHEMA, unique_index=["name"], engine=engine)
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

    @rule(ob=st.sampled_from(["A", "B"]), cascade=st.booleans(), data=st.data())
    def remove(self, ob, cascade, data):
        size = len(self.rows[ob])
        ids = data.draw(st.lists(st.integers(0, size), max_size=3), label="ids")
        if size in ids or len(ids) != len(set(ids)):
            self.attempt(False, lambda: self.acset.remove(ob, ids, cascade), ob, ids, [])
            return
        doomed = {
            name: [row for i, row in enumerate(self.rows[name]) if (name, i) in {(ob, i) for i in ids}] for name in "AB"
        }
        rows = {name: list(table) for name, table in self.rows.items()}
        for table in rows.values():  # point at rows themselves while rows have no numbers
            for row in table:
                row.update({name: self.rows["B"][row[name]] for name in ("f", "g") if row.get(name) is not None})

        def is_doomed(row):
            return any(row is other for table in doomed.values() for other in table)

        while cascade and (
            more := [
                (name, row)
                for name, table in rows.items()
                for row in table
                if not is_doomed(row) and any(is_doomed(row.get(hom)) for hom in ("f", "g"))
            ]
        ):
            for name, row in more:
                doomed[name].append(row)
        for table in rows.values():
            for i in reversed([i for i, row in enumerate(table) if is_doomed(row)]):
                table[i] = table[-1]
                table.pop()
        for table in rows.values():
            for row in table:
                for hom in {"f", "g"} & row.keys():
                    row[hom] = next((i for i, other in enumerate(rows["B"]) if other is row[hom]), None)
        self.acset.remove(ob, ids, cascade)
        self.rows = rows

    @rule(ob=st.sampled_from(["A", "B"]), data=st.data())
    def clear(self, ob, data):
        ids = [i for i in range(len(self.rows[ob])) if data.draw(st.booleans(), label=f"clear {i}")]
        name = data.draw(st.sampled_from([*SCHEMA.homs_from(ob), *SCHEMA.attrs_from(ob)]))
        self.acset.clear(ob, ids, name)
        for i in ids:
            self.rows[ob][i][name] = None

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


def test_an_instance_is_its_model(engine):
    run_state_machine_as_test(
        lambda: Model(engine),
        settings=settings(derandomize=True, deadline=None, max_examples=40, stateful_step_count=12),
    )
