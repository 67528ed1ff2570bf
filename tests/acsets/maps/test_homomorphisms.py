import itertools
import math

import networkx
import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, refused, study
from hypothesis import given
from hypothesis import strategies as st
from morphism_strategies import (
    QUICK,
    cycle,
    graph,
    path,
    same,
    several,
    tried,
)

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps import isomorphism
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphism, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import InstanceError, SchemaError


def listed(morphisms):
    """Morphisms as a sorted list of comparable things, which are equal where the morphisms are."""
    return sorted(
        repr(([(ob, ids.tolist()) for ob, ids in f.components.items()], [(t, v) for t, v in f.variables.items()]))
        for f in morphisms
    )


def injective(f, sorts):
    """Whether components are injective, values and variables taken together."""
    values = {sort: f.components[sort].tolist() if sort in f.components else f.variables[sort] for sort in sorts}
    return all(
        len(set(images)) == len(images) and (sort in f.components or all(isinstance(v, Var) for v in images))
        for sort, images in values.items()
    )


@FIXED
@given(several(2))
def test_they_are_all_natural_transformations(xs):
    x, y = xs
    found = list(homomorphisms(x, y))
    assert listed(found) == listed(tried(x, y))
    assert all(f.is_natural for f in found)
    assert count_homomorphisms(x, y) == len(found)
    first = homomorphism(x, y)
    assert (first is None) == (not found)
    assert first is None or first.is_natural


@FIXED
@given(several(2), st.data())
def test_monic_and_iso_select(xs, data):
    x, y = xs
    everything = [*x.schema.obs, *x.schema.attrtypes]
    every = list(tried(x, y))
    some = data.draw(st.lists(st.sampled_from(everything), unique=True))
    bijective = [
        f
        for f in every
        if injective(f, some)
        and all(x.nparts(sort) == y.nparts(sort) for sort in some if sort in x.schema.obs)
        and all(x.nvars(sort) == y.nvars(sort) for sort in some if sort in x.schema.attrtypes)
    ]
    for arguments, expected in (
        ({"monic": True}, [f for f in every if f.is_monic]),
        ({"monic": some}, [f for f in every if injective(f, some)]),
        ({"iso": some}, bijective),
        ({"iso": True}, [f for f in every if f.is_iso]),
    ):
        found = list(homomorphisms(x, y, **arguments))
        assert listed(found) == listed(expected)
        assert count_homomorphisms(x, y, **arguments) == len(found)
    assert is_isomorphic(x, y) == any(f.is_iso for f in every)


@FIXED
@given(several(2), st.data())
def test_initial_selects(xs, data):
    x, y = xs
    every = list(tried(x, y))
    initial = {}
    for ob in x.schema.obs:
        if y.nparts(ob):
            image = st.integers(0, y.nparts(ob) - 1)
            initial[ob] = {p: data.draw(image) for p in x.parts(ob).tolist() if data.draw(st.booleans())}
    for kind in x.schema.attrtypes:
        if every and x.nvars(kind):
            initial[kind] = {0: data.draw(st.sampled_from(every)).variables[kind][0]}
    expected = [f for f in every if agrees(f, initial)]
    for arguments, selected in (
        ({}, expected),
        ({"monic": True}, [f for f in expected if f.is_monic]),
        ({"iso": True}, [f for f in expected if f.is_iso]),
    ):
        assert listed(homomorphisms(x, y, initial=initial, **arguments)) == listed(selected)
        assert count_homomorphisms(x, y, initial=initial, **arguments) == len(selected)


def agrees(f, initial):
    images = {**f.components, **f.variables}
    return all(same(images[sort][k], image) for sort, prescribed in initial.items() for k, image in prescribed.items())


@QUICK
@given(several(1, 3), st.randoms(use_true_random=False))
def test_a_renamed_copy_is_isomorphic(xs, rng):
    (x,) = xs
    order = {ob: rng.sample(range(x.nparts(ob)), x.nparts(ob)) for ob in x.schema.obs}
    y = x.restrict(order).instance
    f = homomorphism(x, y, iso=True)
    assert f.is_iso
    assert f.then(f.inverse()) == Morphism.identity(x)
    assert is_isomorphic(y, x)


@QUICK
@given(several(2))
def test_hashes_that_collide_make_no_isomorphism(xs):
    x, y = xs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isomorphism, "_mixed", lambda numbers: np.zeros_like(numbers))
        blind = listed(homomorphisms(x, y, iso=True))
    assert set(blind) <= set(listed(homomorphisms(x, y, iso=True)))


def test_parts_that_can_be_exchanged_are_no_search():
    x = ACSet(STUDY)
    x.add_parts("RealEnv", 30)
    x.add_parts("Policy", 3, deploy=[7, None, 2])
    x.add_parts("SimEnv", 60, train=[0, 1, 2] * 20, noisy=[True] * 30 + [False] * 30)
    y = x.restrict({"SimEnv": range(59, -1, -1), "RealEnv": range(29, -1, -1)}).instance
    assert homomorphism(x, y, iso=True).is_iso
    fact = math.factorial
    assert count_homomorphisms(x, y, iso=True) == 2 * fact(28) * fact(10) ** 6
    some = list(itertools.islice(homomorphisms(x, y, iso=True), 50))
    assert all(f.is_iso for f in some)
    assert len(set(listed(some))) == 50


def test_exchanges_are_found_one_by_one():
    x = graph(5, (3, 4), (3, 4))
    found = list(homomorphisms(x, x, iso=True))
    assert len(set(listed(found))) == count_homomorphisms(x, x, iso=True) == 12
    assert listed(found) == listed(f for f in tried(x, x) if f.is_iso)


def test_a_count_tells_parts_apart_by_where_the_first_hom_is_defined():
    x = ACSet(Schema("Two", ["A", "B"], {"f": ("A", "B"), "g": ("A", "B")}))
    x.add("B")
    x.add_parts("A", 4, f=[0, None, None, 0], g=0)
    assert count_homomorphisms(x, x, iso=True) == len(list(homomorphisms(x, x, iso=True))) == 4


def test_arrows_in_a_circle_do_not_make_morphisms_injective():
    loop = Schema("Loop", ["X"], {"f": ("X", "X")})
    x, y = ACSet(loop), ACSet(loop)
    x.add_parts("X", 2, f=[0, 1])
    y.add_parts("X", 2, f=[0, 0])
    assert listed(homomorphisms(x, y)) == listed([Morphism(x, y, {"X": [0, 0]})])
    assert list(homomorphisms(x, y, monic=True)) == list(homomorphisms(x, y, iso=["X"])) == []
    two = Schema("Two", ["A", "B"], {"f": ("A", "B"), "g": ("B", "A")})
    x, y = ACSet(two), ACSet(two)
    for z, images in ((x, [1, 0]), (y, [0, 0])):
        z.add_parts("B", 2)
        z.add_parts("A", 2, f=[1, 0])
        z.set("B", [0, 1], g=images)
    assert count_homomorphisms(x, y, monic=True) == 0
    assert count_homomorphisms(x, x, monic=True) == 2


@QUICK
@given(several(3))
def test_isomorphism_is_an_equivalence(xs):
    x, y, z = xs
    assert is_isomorphic(x, x)
    assert is_isomorphic(x, y) == is_isomorphic(y, x)
    if is_isomorphic(x, y) and is_isomorphic(y, z):
        assert is_isomorphic(x, z)


def from_networkx(g):
    return graph(g.number_of_nodes(), *networkx.convert_node_labels_to_integers(g).edges())


@pytest.mark.parametrize("seed", range(6))
def test_isomorphism_of_graphs_that_refinement_does_not_tell_apart(seed):
    """Regular graphs have one colour; networkx has the last word."""
    one = networkx.random_regular_graph(3, 10, seed=seed).to_directed()
    two = networkx.random_regular_graph(3, 10, seed=seed + 1).to_directed()
    assert is_isomorphic(from_networkx(one), from_networkx(two)) == networkx.is_isomorphic(one, two)
    number = sum(1 for _ in networkx.algorithms.isomorphism.DiGraphMatcher(one, one).isomorphisms_iter())
    assert count_homomorphisms(from_networkx(one), from_networkx(one), iso=True) == number


def test_six_cycle_and_two_triangles():
    triangles = graph(6, *((3 * k + i, 3 * k + (i + 1) % 3) for k in range(2) for i in range(3)))
    assert not is_isomorphic(cycle(6), triangles)
    assert count_homomorphisms(cycle(6), triangles) == 6
    assert count_homomorphisms(triangles, triangles, iso=True) == 18
    assert count_homomorphisms(cycle(6), cycle(6), iso=True, initial={"V": {0: 2}}) == 1


@pytest.mark.parametrize("make", [path, cycle, graph])
def test_isomorphism_of_hundreds_of_parts(make):
    x = make(300)
    order = np.random.default_rng(5).permutation(300)
    y = x.restrict({"V": order}).instance
    assert homomorphism(x, y, iso=True).is_iso
    images = np.argsort(order).tolist()
    assert count_homomorphisms(x, y, iso=True, initial={"V": dict(enumerate(images))}) == 1
    other = y.copy()
    other.add("V")
    assert not is_isomorphic(x, other)


@pytest.mark.parametrize("pattern", [networkx.path_graph, networkx.cycle_graph, networkx.star_graph])
@pytest.mark.parametrize("n", [3, 4])
def test_monomorphisms_of_graphs_are_networkx_s(pattern, n):
    small = pattern(n, create_using=networkx.DiGraph)
    large = networkx.gnp_random_graph(15, 0.2, seed=3, directed=True)
    matcher = networkx.algorithms.isomorphism.DiGraphMatcher(large, small)
    expected = sum(1 for _ in matcher.subgraph_monomorphisms_iter())
    x, y = from_networkx(small), from_networkx(large)
    assert count_homomorphisms(x, y, monic=True) == expected
    assert sum(1 for _ in homomorphisms(x, y, monic=["V"])) == expected


def test_closed_walks_are_traces():
    matrix = np.random.default_rng(2).random((30, 30)) < 0.2
    y = graph(30, *zip(*np.nonzero(matrix), strict=True))
    for n in (1, 2, 3, 5):
        assert count_homomorphisms(cycle(n), y) == np.trace(np.linalg.matrix_power(matrix.astype(int), n))


def test_counts_are_exact_beyond_64_bits_and_products_are_not_made():
    complete = graph(10, *itertools.product(range(10), repeat=2))
    assert count_homomorphisms(graph(30), complete) == 10**30
    assert count_homomorphisms(graph(40, *((2 * k, 2 * k + 1) for k in range(20))), complete) == 100**20
    assert count_homomorphisms(graph(10), complete, monic=True) == math.factorial(10)
    assert count_homomorphisms(graph(8, (0, 1), (2, 3)), complete, monic=["V"]) == math.perm(10, 8)


def test_morphisms_come_one_by_one():
    complete = graph(10, *itertools.product(range(10), repeat=2))
    assert len(list(itertools.islice(homomorphisms(graph(30), complete), 5))) == 5
    assert homomorphism(path(20), complete) is not None
    assert homomorphism(graph(11), complete, monic=True) is None


def test_parts_that_lead_apart_may_come_together():
    """Edges at different vertices are different, but only where vertices stay so."""
    assert count_homomorphisms(path(3), cycle(1), monic=["E"]) == 0
    assert count_homomorphisms(path(3), graph(1, (0, 0), (0, 0)), monic=["E"]) == 2
    assert count_homomorphisms(path(3), graph(1, (0, 0), (0, 0)), monic=["E", "V"]) == 0


STEPS = Schema("Steps", ["X", "Y"], {"next": ("X", "X"), "out": ("X", "Y"), "back": ("Y", "X")})


def steps(next_, out, back):
    """A dynamical system X with a way out to Y and back."""
    x = ACSet(STEPS)
    x.add_parts("X", len(out))
    x.add_parts("Y", len(back), back=back)
    x.set("X", x.parts("X"), next=next_, out=out)
    return x


@FIXED
@given(st.data())
def test_injectivity_follows_from_no_circle(data):
    """Arrows that lead parts back to themselves keep no parts apart."""
    n = data.draw(st.integers(1, 3))
    arrow = st.just([None] * n) | st.lists(st.integers(0, n - 1), min_size=n, max_size=n)
    x, y = (steps(*(data.draw(arrow) for _ in range(3))) for _ in range(2))
    every = list(homomorphisms(x, y))
    for monic in (["X"], ["Y"], ["X", "Y"]):
        injective = [f for f in every if all(len(set(f.components[ob].tolist())) == n for ob in monic)]
        assert count_homomorphisms(x, y, monic=monic) == len(injective)
        assert len(list(homomorphisms(x, y, monic=monic))) == len(injective)


def test_two_fixed_points_are_not_one():
    """Each of the two is its own next, so that their arrows lead them apart only if they are apart."""
    fixed, constant = steps([0, 1], [None, None], []), steps([0, 0], [None, None], [])
    assert [f.components["X"].tolist() for f in homomorphisms(fixed, constant)] == [[0, 0]]
    assert list(homomorphisms(fixed, constant, monic=True)) == []
    assert homomorphism(fixed, constant, iso=["X", "Y"]) is None
    assert count_homomorphisms(fixed, fixed, monic=["X"]) == 2


def test_what_does_not_exist():
    assert homomorphism(cycle(3), path(4)) is None
    assert count_homomorphisms(path(5), path(4)) == 0
    assert count_homomorphisms(path(3), graph(0)) == 0
    assert count_homomorphisms(graph(0), graph(0)) == count_homomorphisms(graph(0), path(3)) == 1
    assert [f.is_iso for f in homomorphisms(graph(0), graph(0))] == [True]


def test_attribute_variables_are_unknowns():
    x = graph(3, (0, 1), (1, 2), weights=[Var(0), Var(0)])
    y = graph(3, (0, 1), (1, 2), (2, 0), weights=[0.5, 0.5, Var(0)])
    assert [f.variables["Weight"] for f in homomorphisms(x, y)] == [(0.5,)]
    assert count_homomorphisms(x, y, monic=["Weight"]) == 0
    looped = graph(1, (0, 0), (0, 0), weights=[Var(0), 2.0])
    assert listed(homomorphisms(x, looped)) == listed(tried(x, looped))
    assert count_homomorphisms(x, looped, monic=["Weight"]) == 1
    assert count_homomorphisms(x, looped, initial={"Weight": {0: 2.0}}) == 1
    assert count_homomorphisms(x, looped, initial={"Weight": {0: 3.0}}) == 0


def test_prescribed_images_have_the_same_values():
    x = graph(1, (0, 0), (0, 0), weights=[0.5, 0.25])
    assert count_homomorphisms(x, x, iso=True, initial={"E": {0: 1, 1: 0}}) == 0
    assert homomorphism(x, x, iso=True, initial={"E": {0: 1}}) is None
    assert homomorphism(graph(2), graph(2), iso=True, initial={"V": {0: 1, 1: 1}}) is None


def test_variables_at_no_part_need_an_image():
    x = study()
    with refused(InstanceError, "Var(0) of 'TransferGap'", "at no part", "initial={'TransferGap': {0: ...}}"):
        homomorphisms(x, x)
    for image in (Var(0), Var(1), 3.5, float("nan")):
        found = list(homomorphisms(x, x, initial={"TransferGap": {0: image}}))
        assert Morphism.identity(x).components.keys() == found[0].components.keys()
        assert all(repr(f.variables["TransferGap"][0]) == repr(image) for f in found)
    assert is_isomorphic(x, x)
    assert count_homomorphisms(x, x, iso=True) == 1
    assert count_homomorphisms(x, x, iso=True, initial={"TransferGap": {0: Var(1)}}) == 0
    assert count_homomorphisms(x, x, iso=True, initial={"TransferGap": {0: 3.5}}) == 0


@pytest.mark.parametrize("count", [count_homomorphisms, homomorphism, homomorphisms])
@pytest.mark.parametrize(
    ("arguments", "error", "parts"),
    [
        ({"monic": ["W"]}, SchemaError, ["unknown object 'W'", "Valid: V, E, Weight"]),
        ({"iso": "W"}, SchemaError, ["unknown object 'W'"]),
        ({"initial": {"W": {}}}, SchemaError, ["initial", "unknown object 'W'"]),
        ({"initial": {"V": {2: 0}}}, InstanceError, ["initial 'V'", "2 does not exist", "domain", "V has ids 0..1"]),
        ({"initial": {"V": {0: 3}}}, InstanceError, ["initial 'V'", "3 does not exist", "codomain", "V has ids 0..2"]),
        ({"initial": {"V": {0: None}}}, InstanceError, ["initial 'V'", "undefined"]),
        ({"initial": {"Weight": {1: 0.5}}}, InstanceError, ["initial 'Weight'", "1 does not exist", "variables"]),
        ({"initial": {"Weight": {0: Var(1)}}}, InstanceError, ["initial 'Weight'", "Var(1)", "1 variables"]),
        ({"initial": {"Weight": {0: None}}}, InstanceError, ["initial 'Weight'", "None"]),
        ({"initial": {"Weight": {0: "x"}}}, InstanceError, ["initial 'Weight'", "'x'", "not a float"]),
        ({"iso": True, "initial": {"V": {0: 3}}}, InstanceError, ["initial 'V'", "3 does not exist"]),
    ],
)
def test_bad_questions_are_refused(count, arguments, error, parts):
    x = graph(2, (0, 1), weights=[Var(0)])
    y = graph(3, (0, 1), (1, 2), weights=[Var(0), 0.5])
    with refused(error, *parts):
        count(x, y, **arguments)


def test_schemas_must_be_equal():
    for operation in (count_homomorphisms, homomorphisms, is_isomorphic):
        with refused(SchemaError, "one schema"):
            operation(path(2), ACSet(STUDY))


def test_names_of_objects_do_not_collide():
    """Two objects whose names and numbers could be read as each other's."""
    schema = Schema("Names", obs=["A", "A1"], homs={"f": ("A", "A1")})
    x, y = ACSet(schema), ACSet(schema)
    x.add_parts("A1", 12)
    x.add_parts("A", 12, f=range(12))
    y.add_parts("A1", 2)
    y.add_parts("A", 2, f=[0, 1])
    assert count_homomorphisms(x, y) == 2**12
