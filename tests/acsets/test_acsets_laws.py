"""What holds in every instance of every schema."""

from acset_strategies import FIXED, acsets, paths_in
from hypothesis import given
from hypothesis import strategies as st

from sim2real_cat.acsets.columns import Var


@FIXED
@given(acsets(), st.data())
def test_a_path_is_the_composite_of_its_parts(x, data):
    """Functoriality and associativity: cut a path anywhere, follow one piece after the other."""
    dom, path = data.draw(paths_in(x.schema))
    cut = data.draw(st.integers(0, len(path)))
    first, second = path[:cut], path[cut:]
    whole = [x.subpart(path, part, ob=dom) for part in range(x.nparts(dom))]
    if cut < len(path):
        middle = x.schema.path(first, dom).codom
        halfway = [x.subpart(first, part, ob=dom) for part in range(x.nparts(dom))]
        stepwise = [None if part is None else x.subpart(second, part, ob=middle) for part in halfway]
        assert stepwise == whole
    assert x.subpart(path, ob=dom).tolist() == [_in_array(value, path, x) for value in whole]


def _in_array(value, path, x):
    if path and path[-1] in x.schema.attrs:
        return None if isinstance(value, Var) else value
    return -1 if value is None else value


@FIXED
@given(acsets())
def test_the_empty_path_is_the_identity(x):
    for ob in x.schema.obs:
        assert x.subpart("", ob=ob).tolist() == x.parts(ob).tolist()
        for name in (*x.schema.homs_from(ob), *x.schema.attrs_from(ob)):
            assert x.subpart(name, x.subpart("", ob=ob)).tolist() == x.subpart(name).tolist()


@FIXED
@given(acsets(), st.data())
def test_incident_is_the_preimage_of_subpart(x, data):
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
def test_a_bulk_is_the_same_as_its_rows_one_by_one(x, data):
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
