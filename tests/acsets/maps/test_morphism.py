import itertools

import numpy as np
import pytest
from acset_strategies import STUDY, refused, schemas
from hypothesis import given
from hypothesis import strategies as st
from morphism_strategies import GRAPH, QUICK, broken_squares, cycle, graph, instances, path, same, several

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.homomorphisms import homomorphisms
from sim2real_cat.acsets.maps.morphism import Morphism, NaturalityFailure
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError


@st.composite
def any_maps(draw):
    """A map between two instances that need not be natural."""
    x, y = draw(several(2))
    for ob in x.schema.obs:
        if y.nparts(ob) == 0:
            y.add(ob)
    components = {ob: [draw(st.integers(0, y.nparts(ob) - 1)) for _ in x.parts(ob)] for ob in x.schema.obs}
    variables = {
        kind: tuple(
            draw(st.sampled_from([Var(k) for k in range(y.nvars(kind))] or [python_type(1)]))
            for _ in range(x.nvars(kind))
        )
        for kind, python_type in x.schema.attrtypes.items()
    }
    return Morphism(x, y, components, variables)


@QUICK
@given(any_maps())
def test_naturality_is_what_it_is_part_by_part(f):
    places = [(failure.arrow, failure.part) for failure in f.naturality()]
    assert places == list(broken_squares(f.dom, f.codom, f.components, f.variables))
    assert f.is_natural == (not places)
    for failure in f.naturality():
        ob = {**f.dom.schema.homs, **f.dom.schema.attrs}[failure.arrow][0]
        found = f.codom.subpart(failure.arrow, f.components[ob][failure.part])
        assert same(found, failure.codom_side)
        assert not same(failure.dom_side, failure.codom_side)


def test_a_failure_names_arrow_part_and_both_sides():
    f = Morphism(path(2), path(3), {"V": [0, 2], "E": [0]})
    assert f.naturality() == [NaturalityFailure("tgt", 0, 2, 1)]
    assert str(f.naturality()[0]) == "'tgt' at part 0: 2 becomes 1"
    x, y = graph(2, (0, 1), weights=[0.5]), graph(2, (0, 1), weights=[None])
    assert Morphism(x, y, {"V": [0, 1], "E": [0]}).naturality() == [NaturalityFailure("weight", 0, 0.5, None)]
    y.set("E", 0, src=None)
    assert Morphism(x, y, {"V": [0, 1], "E": [0]}).naturality()[0] == NaturalityFailure("src", 0, 0, None)


def test_an_undefined_slot_asks_for_nothing():
    x, y = graph(2, (0, None), weights=[None]), graph(2, (0, 1), weights=[0.5])
    assert Morphism(x, y, {"V": [0, 0], "E": [0]}).is_natural
    assert not Morphism(y, x, {"V": [0, 1], "E": [0]}).is_natural


def test_a_variable_may_become_a_value_or_a_variable():
    x = graph(2, (0, 1), (0, 1), weights=[Var(0), Var(0)])
    y = graph(2, (0, 1), (0, 1), weights=[0.5, Var(0)])
    maps = {"V": [0, 1], "E": [0, 0]}
    assert Morphism(x, y, maps, {"Weight": [0.5]}).is_natural
    assert not Morphism(x, y, maps, {"Weight": [Var(0)]}).is_natural
    assert Morphism(x, y, maps | {"E": [1, 1]}, {"Weight": [Var(0)]}).is_natural
    assert not Morphism(x, y, maps | {"E": [0, 1]}, {"Weight": [Var(0)]}).is_natural
    assert not Morphism(y, x, maps, {"Weight": [Var(0)]}).is_natural


def chains(draw, n, most=2):
    """Composable morphisms; None where there are none."""
    xs = draw(several(n + 1, most))
    found = []
    for x, y in itertools.pairwise(xs):
        choices = list(itertools.islice(homomorphisms(x, y), 20))
        if not choices:
            return None
        found.append(draw(st.sampled_from(choices)))
    return found


@QUICK
@given(st.data())
def test_morphisms_are_a_category(data):
    found = chains(data.draw, 3)
    if found is None:
        return
    f, g, h = found
    assert Morphism.identity(f.dom).then(f) == f == f.then(Morphism.identity(f.codom))
    assert f.then(g).then(h) == f.then(g.then(h))
    assert f.then(g).is_natural


@QUICK
@given(st.data())
def test_monic_is_left_cancellable_and_epic_right_cancellable(data):
    schema = data.draw(schemas())
    x, y, z = (data.draw(instances(schema)) for _ in range(3))
    for f in itertools.islice(homomorphisms(x, y), 3):
        if f.is_monic:
            after = [g.then(f) for g in itertools.islice(homomorphisms(z, x), 20)]
            assert all(one != two for one, two in itertools.combinations(after, 2))
        if f.is_epic:
            after = [f.then(g) for g in itertools.islice(homomorphisms(y, z), 20)]
            assert all(one != two for one, two in itertools.combinations(after, 2))


def test_monic_epic_iso_by_example():
    inclusion = Morphism(path(2), cycle(2), {"V": [0, 1], "E": [0]})
    assert (inclusion.is_monic, inclusion.is_epic, inclusion.is_iso) == (True, False, False)
    fold = Morphism(graph(2), graph(1), {"V": [0, 0]})
    assert (fold.is_monic, fold.is_epic, fold.is_iso) == (False, True, False)
    turn = Morphism(cycle(3), cycle(3), {"V": [1, 2, 0], "E": [1, 2, 0]})
    assert (turn.is_monic, turn.is_epic, turn.is_iso) == (True, True, True)
    assert turn.then(turn.inverse()) == turn.inverse().then(turn) == Morphism.identity(cycle(3))
    flip = Morphism(cycle(3), cycle(3), {"V": [1, 0, 2], "E": [0, 1, 2]})
    assert not flip.is_iso


def test_a_bijection_into_what_knows_more_is_no_isomorphism():
    x, y = graph(2, (0, None)), graph(2, (0, 1))
    f = Morphism(x, y, {"V": [0, 1], "E": [0]})
    assert (f.is_natural, f.is_monic, f.is_epic, f.is_iso) == (True, True, True, False)
    with refused(InstanceError, "no inverse"):
        f.inverse()


def test_epic_is_generating_everything():
    """Two maps that agree on where a chain starts agree along it."""
    schema = Schema("Steps", obs=["X"], homs={"next": ("X", "X")})
    chain, start = ACSet(schema), ACSet(schema)
    chain.add_parts("X", 3, next=[1, 2, None])
    start.add("X")
    assert Morphism(start, chain, {"X": [0]}).is_epic
    assert not Morphism(start, chain, {"X": [1]}).is_epic


def test_variables_count_for_monic_and_epic():
    variable, value = graph(2, (0, 1), weights=[Var(0)]), graph(2, (0, 1), weights=[0.5])
    maps = {"V": [0, 1], "E": [0]}
    f = Morphism(variable, value, maps, {"Weight": [0.5]})
    assert (f.is_monic, f.is_epic) == (False, True)
    more = variable.copy()
    more.add_vars("Weight", 1)
    assert not Morphism(variable, more, maps, {"Weight": [Var(0)]}).is_epic
    assert Morphism(more, more, maps, {"Weight": [Var(0), Var(1)]}).is_iso
    assert not Morphism(more, variable, maps, {"Weight": [Var(0), Var(0)]}).is_monic


def test_what_is_equal():
    f = Morphism(path(2), path(3), {"V": [0, 1], "E": [0]})
    assert f == Morphism(path(2), path(3), {"V": np.array([0, 1]), "E": [0]})
    assert f != Morphism(path(2), path(3), {"V": [1, 2], "E": [1]})
    assert f != Morphism(path(2), path(4), {"V": [0, 1], "E": [0]})
    x = graph(0, weights=[])
    x.add_vars("Weight")
    nan = Morphism(x, x, {}, {"Weight": [float("nan")]})
    assert nan == Morphism(x, x, {}, {"Weight": [float("nan")]})
    assert nan != Morphism(x, x, {}, {"Weight": [0.0]})
    assert f != "f"
    assert "Graph" in repr(f)


def test_components_do_not_change():
    f = Morphism.identity(path(2))
    with pytest.raises(ValueError, match="read-only"):
        f.components["V"][0] = 1
    with pytest.raises(TypeError):
        f.components["V"] = np.array([1, 0])


@pytest.mark.parametrize(
    ("components", "variables", "error", "parts"),
    [
        ({"V": [0, 1]}, {}, InstanceError, ["component 'E'", "0 images for the 1 parts"]),
        ({"V": [0, 1, 2], "E": [0]}, {}, InstanceError, ["component 'V'", "3 images for the 2 parts"]),
        ({"V": [0, 3], "E": [0]}, {}, InstanceError, ["component 'V' part 1", "3", "V has ids 0..2"]),
        ({"V": [0, -1], "E": [0]}, {}, InstanceError, ["component 'V'", "total"]),
        ({"V": [0, None], "E": [0]}, {}, InstanceError, ["component 'V' part 1", "total"]),
        ({"V": [0, 0.5], "E": [0]}, {}, InstanceError, ["component 'V'", "0.5"]),
        ({"V": [0, 1], "E": [0], "W": []}, {}, SchemaError, ["unknown object 'W'"]),
        ({"V": [0, 1], "E": [0]}, {"Weight": []}, SchemaError, ["unknown attribute type 'Weight'"]),
    ],
)
def test_what_is_no_map_is_refused(components, variables, error, parts):
    with refused(error, *parts):
        Morphism(path(2), path(3), components, variables)


@pytest.mark.parametrize(
    ("images", "parts"),
    [
        ([], ["'Weight'", "0 images for the 1"]),
        ([Var(1)], ["Var(0) goes to Var(1)", "the codomain has 1 variables"]),
        ([None], ["Var(0) goes to None", "no image"]),
        (["x"], ["Var(0) goes to 'x'", "not a float"]),
    ],
)
def test_images_of_variables_are_checked(images, parts):
    x = graph(2, (0, 1), weights=[Var(0)])
    with refused(InstanceError, *parts):
        Morphism(x, x, {"V": [0, 1], "E": [0]}, {"Weight": images})


def test_what_does_not_fit_together_is_refused():
    with refused(SchemaError, "one schema", "Graph", "Study"):
        Morphism(path(1), ACSet(STUDY), {})
    f = Morphism(path(2), path(3), {"V": [0, 1], "E": [0]})
    with refused(InstanceError, "do not compose"):
        f.then(f)
    assert f.dom.schema == GRAPH
