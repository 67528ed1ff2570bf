"""What holds in every instance of every schema, wherever it lives."""

from acset_strategies import FIXED, acsets, paths_in
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var


@FIXED
@given(acsets(), st.data())
def test_a_path_is_the_composite_of_its_parts(hold, x, data):
    """Functoriality and associativity: cut a path anywhere, follow one piece after the other."""
    x = hold(x)
    dom, path = data.draw(paths_in(x.schema))
    cut = data.draw(st.integers(0, len(path)))
    first, second = path[:cut], path[cut:]
    whole = [x.subpart(path, part, ob=dom) for part in range(x.nparts(dom))]
    if cut < len(path):
        middle = x.schema.path(first, dom).codom
        halfway = [x.subpart(first, part, ob=dom) for part in range(x.nparts(dom))]
        stepwise = [None if part is None else x.subpart(second, part, ob=middle) for part in halfway]
        assert stepwise == whole
    assert x.subpart(path, ob=dom).tolist() == [None if isinstance(value, Var) else value for value in whole]


@FIXED
@given(acsets())
def test_the_empty_path_is_the_identity(hold, x):
    x = hold(x)
    for ob in x.schema.obs:
        assert x.subpart("", ob=ob).tolist() == x.parts(ob).tolist()
        for name in (*x.schema.homs_from(ob), *x.schema.attrs_from(ob)):
            assert x.subpart(name, x.subpart("", ob=ob)).tolist() == x.subpart(name).tolist()


@FIXED
@given(acsets(), st.data())
def test_incident_is_the_preimage_of_subpart(hold, x, data):
    x = hold(x)
    dom, path = data.draw(paths_in(x.schema))
    codom = x.schema.path(path, dom).codom
    reached = [x.subpart(path, part, ob=dom) for part in range(x.nparts(dom))]
    if codom in x.schema.obs:
        values = x.parts(codom).tolist()
    else:
        values = [value for value in reached if value is not None]
        values += [Var(k) for k in range(x.nvars(codom))]
    expected = [[part for part, other in enumerate(reached) if other == value] for value in values]
    assert [ids.tolist() for ids in x.incident(values, path, ob=dom)] == expected
    assert [x.incident(value, path, ob=dom).tolist() for value in values] == expected


@FIXED
@given(acsets(), st.data())
def test_a_bulk_is_the_same_as_its_rows_one_by_one(hold, x, data):
    x = hold(x)
    ob = data.draw(st.sampled_from(x.schema.obs))
    columns = {
        name: [x.subpart(name, part) for part in range(x.nparts(ob))]
        for name in (*x.schema.homs_from(ob), *x.schema.attrs_from(ob))
    }
    bulk, single = x.copy(), x.copy()
    bulk.add_parts(ob, x.nparts(ob), **columns)
    for part in range(x.nparts(ob)):
        single.add(ob, **{name: column[part] for name, column in columns.items()})
    assert bulk == single


@FIXED
@given(acsets())
def test_json_is_read_back_as_it_was(hold, x):
    x = hold(x)
    assert ACSet.from_json(x.schema, x.to_json()) == x


@FIXED
@given(acsets(), st.data())
def test_removal_keeps_what_survives(hold, x, data):
    """The maps are injective on what stays, and every value that stays is found at its new place."""
    x = hold(x)
    ob = data.draw(st.sampled_from([ob for ob in x.schema.obs if x.nparts(ob)] or list(x.schema.obs)))
    ids = data.draw(st.sets(st.integers(0, max(x.nparts(ob) - 1, 0)), max_size=x.nparts(ob)))
    before = x.copy()
    maps = x.remove(ob, sorted(ids), cascade=data.draw(st.booleans()))
    assert set((maps[ob] < 0).nonzero()[0].tolist()) >= ids
    for table in x.schema.obs:
        stays = [(old, new) for old, new in enumerate(maps[table].tolist()) if new >= 0]
        assert sorted(new for _, new in stays) == x.parts(table).tolist()
        for name in x.schema.attrs_from(table):
            assert [before.subpart(name, old) for old, _ in stays] == [x.subpart(name, new) for _, new in stays]
        for name in x.schema.homs_from(table):
            codom = x.schema.homs[name][1]
            targets = [before.subpart(name, old) for old, _ in stays]
            moved = [None if old is None or maps[codom][old] < 0 else int(maps[codom][old]) for old in targets]
            assert moved == [x.subpart(name, new) for _, new in stays]
