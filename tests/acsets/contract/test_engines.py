"""Both engines give the same, whatever is asked of whatever instance; limits and colimits up to isomorphism."""

from __future__ import annotations

import math

import numpy as np
import pytest
from acset_strategies import FIXED, STUDY, acsets, paths_in, refused, schemas, study
from both_engines import images, outcome, same_cone
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from morphism_strategies import VALUES, cycle, graph, parallel, path, picking, several, spans
from query_strategies import queries

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphism, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.query.engine import answer, count
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, InstanceError, Sim2RealError

FEW = settings(FIXED, max_examples=25)


@FIXED
@given(acsets())
def test_an_instance_is_the_same_there_and_back(catlab, x):
    there = catlab(x)
    assert (there.engine, there) == ("catlab", x)
    back = there.to_engine("embedded")
    assert (back.engine, back) == ("embedded", x)
    assert there.to_json() == x.to_json()


@FIXED
@given(acsets(), st.data())
def test_paths_and_preimages(catlab, x, data):
    there = catlab(x)
    dom, route = data.draw(paths_in(x.schema))
    assert there.subpart(route, ob=dom).tolist() == x.subpart(route, ob=dom).tolist()
    if not route or route[-1] in x.schema.homs:
        for mine, theirs in zip(x.preimages(route, ob=dom), there.preimages(route, ob=dom), strict=True):
            assert theirs.tolist() == mine.tolist()


@FIXED
@given(acsets(STUDY))
def test_equations(catlab, x):
    assert list(map(str, catlab(x).check())) == list(map(str, x.check()))


@FIXED
@given(acsets(), st.data())
def test_removal(catlab, x, data):
    ob = data.draw(st.sampled_from(x.schema.obs))
    ids = data.draw(st.sets(st.integers(0, x.nparts(ob) - 1))) if x.nparts(ob) else []
    cascade = data.draw(st.booleans())
    there = catlab(x)
    mine, theirs = x.remove(ob, sorted(ids), cascade), there.remove(ob, sorted(ids), cascade)
    assert there == x
    assert {name: ids.tolist() for name, ids in theirs.items()} == {name: ids.tolist() for name, ids in mine.items()}
    there.add(ob)
    assert [there.subpart(f, ids) for f in x.schema.homs_from(ob) for ids in [there.nparts(ob) - 1]] == [
        None for _ in x.schema.homs_from(ob)
    ]


@settings(FIXED, max_examples=25)
@given(queries(), st.booleans())
def test_queries(catlab, drawn, distinct):
    """With undefined homs and attributes, variables and NaN: the same rows in the same order, or the same error."""
    x, query, params = drawn
    there = catlab(x)
    assert outcome(lambda: answer(there, query, params, distinct=distinct)) == outcome(
        lambda: answer(x, query, params, distinct=distinct)
    )
    assert outcome(lambda: count(there, query, params)) == outcome(lambda: count(x, query, params))


@FIXED
@given(st.data())
def test_disjoint_unions(catlab, data):
    schema = data.draw(schemas())
    x, y = data.draw(acsets(schema)), data.draw(acsets(schema))
    x = ACSet.from_json(x.schema, x.to_json())
    x.index = tuple(x.schema.homs)
    there, mine = catlab(x).disjoint_union(y), x.disjoint_union(y)
    assert there.instance == mine.instance
    assert (there.instance.engine, there.instance.index) == ("catlab", mine.instance.index)
    for side in ("left", "right"):
        theirs = {name: ids.tolist() for name, ids in getattr(there, side).items()}
        assert theirs == {name: ids.tolist() for name, ids in getattr(mine, side).items()}


@FEW
@given(several(2, 3), st.data())
def test_homomorphisms(catlab, pair, data):
    x, y = pair
    sorts = (*x.schema.obs, *x.schema.attrtypes)
    monic = data.draw(st.booleans() | st.sets(st.sampled_from(sorts)))
    iso = data.draw(st.just(False) | st.booleans() | st.sets(st.sampled_from(sorts), max_size=1))
    initial = {}
    ob = data.draw(st.sampled_from(x.schema.obs))
    if x.nparts(ob) and y.nparts(ob) and data.draw(st.booleans()):
        initial[ob] = {data.draw(st.integers(0, x.nparts(ob) - 1)): data.draw(st.integers(0, y.nparts(ob) - 1))}
    asked = {"monic": monic, "iso": iso, "initial": initial}
    mine = list(homomorphisms(x, y, **asked))
    theirs = list(homomorphisms(catlab(x), catlab(y), **asked))
    assert images(theirs) == images(mine)
    assert all(f.is_natural for f in theirs)
    assert count_homomorphisms(catlab(x), y, **asked) == len(mine)
    first = homomorphism(x, catlab(y), **asked)
    assert (first is None) == (not mine)
    assert first is None or images([first])[0] in images(mine)


@FEW
@given(several(2, 3), st.data())
def test_prescribed_images_of_variables(catlab, pair, data):
    x, y = pair
    kinds = [kind for kind in x.schema.attrtypes if x.nvars(kind)]
    assume(kinds)
    kind = data.draw(st.sampled_from(kinds))
    options = st.sampled_from(VALUES[x.schema.attrtypes[kind]])
    if y.nvars(kind):
        options |= st.builds(Var, st.integers(0, y.nvars(kind) - 1))
    x.add_vars(kind, data.draw(st.integers(0, 1)))
    initial = {kind: {k: data.draw(options) for k in range(x.nvars(kind))}}
    monic = data.draw(st.sampled_from([(), (kind,)]))
    asked = {"initial": initial, "monic": monic}
    assert images(homomorphisms(catlab(x), y, **asked)) == images(homomorphisms(x, y, **asked))


@FEW
@given(several(2, 3), st.data())
def test_isomorphism(catlab, pair, data):
    x, y = pair
    order = {ob: data.draw(st.permutations(x.parts(ob).tolist())) for ob in x.schema.obs}
    z = x.restrict(order).instance
    for attrtype in x.schema.attrtypes:
        x.add_vars(attrtype), z.add_vars(attrtype)
    assert is_isomorphic(catlab(x), z)
    assert is_isomorphic(catlab(x), y) == is_isomorphic(x, y)
    assert images(homomorphisms(catlab(x), z, iso=True)) == images(homomorphisms(x, z, iso=True))
    assert count_homomorphisms(x, catlab(z), iso=True) == count_homomorphisms(x, z, iso=True)


def test_the_isomorphism_that_colours_force_is_verified_by_catlab(catlab):
    rng = np.random.default_rng(0)
    n = 100
    edges = rng.integers(0, n, (3 * n, 2))
    x, order = graph(n, *edges.tolist()), rng.permutation(n)
    y = graph(n, *np.argsort(order)[edges].tolist())
    assert is_isomorphic(catlab(x), y) == is_isomorphic(x, y) is True


def test_parts_that_look_alike_are_too_many(catlab):
    x = cycle(101)
    with refused(EngineError, "isomorphisms of instances of which at most 200 parts", "202 look alike"):
        is_isomorphic(catlab(x), x)
    assert not is_isomorphic(catlab(x), cycle(102))


@FEW
@given(several(2))
def test_coproducts(catlab, pair):
    x, y = pair
    same_cone(coproduct(catlab(x), catlab(y)), coproduct(x, y))


def moved_to(catlab, f, z):
    return Morphism(z, catlab(f.codom), f.components, f.variables)


@FEW
@given(st.one_of(spans(), picking()))
def test_pushouts(catlab, pair):
    z = catlab(pair[0].dom)
    moved = [moved_to(catlab, f, z) for f in pair]
    same_cone(outcome(lambda: pushout(*moved)), outcome(lambda: pushout(*pair)))


@FEW
@given(st.one_of(parallel(3), picking()))
def test_coequalizers(catlab, pair):
    z = catlab(pair[0].dom)
    moved = [moved_to(catlab, f, z) for f in pair]
    same_cone(outcome(lambda: coequalizer(*moved)), outcome(lambda: coequalizer(*pair)))


def test_gluing_undefined_homs_takes_several_steps(catlab):
    """Two chains of which only the starts are identified: each step identifies the next parts."""
    chain = Schema("Chain", ["X"], {"next": ("X", "X")}, {"T": float}, {"t": ("X", "T")})
    x, z = ACSet(chain), ACSet(chain)
    x.add_vars("T", 1)
    x.add_parts("X", 6, next=[1, 2, None, 4, 5, None], t=[None, math.nan, Var(0), None, math.nan, 2.5])
    z.add_parts("X", 1)
    f, g = Morphism(z, x, {"X": [0]}), Morphism(z, x, {"X": [3]})
    there = coequalizer(Morphism(catlab(z), x, f.components), g)
    same_cone(there, coequalizer(f, g))
    chained = there.legs[0].components["X"].tolist()
    assert chained[:3] == chained[3:]
    assert there.apex.subpart("next", chained[:3]).tolist() == [*chained[1:3], None]
    assert there.legs[0].variables == {"T": (2.5,)}
    x.set("X", 4, t=0.5)
    with pytest.raises(InstanceError, match="it identifies X 1 and 4"):
        coequalizer(Morphism(catlab(z), x, f.components), g)


LOOPS = Schema("Loops", ["X"], {"f": ("X", "X")}, {"T": float}, {"t": ("X", "T"), "u": ("X", "T")})


@pytest.mark.parametrize(
    ("body", "params", "rows"),
    [
        ("X(_id=a, f=a)", {}, [0]),
        ("X(_id=a, t=v, u=v)", {}, [0, 1]),
        ("X(_id=a, t=0.0)", {}, [0, 1]),
        ("X(_id=a, t=v), X(_id=b, u=v)", {}, [0, 0, 1, 1, 2, 3]),
        ("X(_id=a, t=$v)", {"v": math.inf}, [2]),
        ("X(_id=a, t=$v)", {"v": math.nan}, [3]),
        ("X(_id=a, t=v)", {"v": -math.inf}, []),
        ("X(_id=a, t=v)", {"v": -0.0}, [0, 1]),
    ],
)
def test_equality_in_queries_is_ours(catlab, body, params, rows):
    x = ACSet(LOOPS)
    x.add_parts("X", 4, f=[0, 0, 1, 2], t=[0.0, -0.0, math.inf, math.nan], u=[-0.0, 0.0, math.nan, math.inf])
    for instance in (x, catlab(x)):
        assert instance.query(body, ["a"], params=params)["a"].tolist() == rows


def points(*values, variables=0):
    x = ACSet(Schema("Points", ["X"], attrtypes={"T": float}, attrs={"t": ("X", "T")}))
    x.add_vars("T", variables)
    x.add_parts("X", len(values), t=list(values))
    return x


@pytest.mark.parametrize(
    ("one", "other", "asked", "number"),
    [
        (points(1.0), points(1.0, variables=1), {"iso": True}, 0),
        (points(Var(0), variables=1), points(Var(0), Var(1), variables=2), {"iso": ["T"]}, 0),
        (points(Var(0), variables=1), points(Var(0), Var(1), variables=2), {"monic": ["T"]}, 2),
        (points(Var(0), variables=1), points(1.0, Var(0), variables=1), {"monic": ["T"]}, 1),
        (points(Var(0), variables=1), points(1.0, Var(0), variables=1), {}, 2),
    ],
)
def test_variables_are_parts_of_what_must_be_bijective(catlab, one, other, asked, number):
    for x in (one, catlab(one)):
        assert count_homomorphisms(x, other, **asked) == len(list(homomorphisms(x, other, **asked))) == number
        assert (homomorphism(x, other, **asked) is None) == (number == 0)


BAD = {
    "an id that does not exist": lambda x: x.add("SimEnv", train=9),
    "a negative id": lambda x: x.add_parts("SimEnv", 1, train=[-3]),
    "a value of a wrong type": lambda x: x.add("Policy", kl_gap="much"),
    "a variable that does not exist": lambda x: x.add("Policy", kl_gap=Var(7)),
    "an unknown object": lambda x: x.nparts("Polcy"),
    "an unknown column": lambda x: x.add("Policy", kl_gp=0.1),
    "reading at an id beyond the end": lambda x: x.subpart("train", 4),
    "reading along paths that do not compose": lambda x: x.subpart("deploy.train"),
    "the preimage of an id beyond the end": lambda x: x.incident(3, "train"),
    "the preimage of a value of a wrong type": lambda x: x.incident("0.02", "train.kl_gap"),
    "removing an id beyond the end": lambda x: x.remove("Policy", [3]),
    "removing an id twice": lambda x: x.remove("Policy", [1, 1]),
    "the preimage of what 64 bits cannot hold": lambda x: x.incident(2**70, "seed"),
    "a query of what is not there": lambda x: x.query("Policy(_id=p, kl_gp=g)"),
    "a morphism that prescribes too much": lambda x: homomorphism(x, x, initial={"Policy": {5: 0}}),
}


@pytest.mark.parametrize("mistake", BAD)
def test_mistakes_are_told_alike(catlab, mistake):
    x, there = study(), catlab(study())
    mine, theirs = outcome(lambda: BAD[mistake](x)), outcome(lambda: BAD[mistake](there))
    assert theirs == mine
    assert issubclass(mine[0], Sim2RealError)
    assert there == x == study()


def test_variables_at_no_part(catlab):
    x = ACSet(Schema("Points", ["X"], attrtypes={"T": float}, attrs={"t": ("X", "T")}))
    x.add("X", t=0.5)
    x.add_vars("T")
    with pytest.raises(InstanceError, match="prescribe one"):
        homomorphism(catlab(x), x)
    for image in (1.0, Var(0)):
        found = homomorphism(catlab(x), x, initial={"T": {0: image}})
        assert found.variables == {"T": (image,)}


def test_engines_can_be_mixed_and_the_result_lives_in_catlab(catlab):
    two, three = path(2), path(3)
    assert count_homomorphisms(two, catlab(three)) == count_homomorphisms(catlab(two), three) == 2
    assert coproduct(two, catlab(three)).apex.engine == "catlab"
