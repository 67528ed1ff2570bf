"""Both engines give the same, whatever is asked of whatever instance; limits and colimits up to isomorphism."""

from __future__ import annotations

import math

import pytest
from acset_strategies import FIXED, STUDY, acsets, paths_in, refused, schemas, study
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from morphism_strategies import held_only, instances, path, spans
from query_strategies import queries

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphism, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.query.engine import answer, count
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError, InstanceError, Sim2RealError

SOME = {float: 0.5, int: 1, str: "a", bool: True}


def known(x, variables=False):
    """The instance with a value wherever an attribute was undefined or NaN, or, unless they are wanted, a variable."""
    y = x.copy()
    for name, (ob, kind) in x.schema.attrs.items():
        for part in x.parts(ob).tolist():
            value = x.subpart(name, part)
            if value is None or value != value or (isinstance(value, Var) and not variables):
                y.set(ob, part, **{name: SOME[x.schema.attrtypes[kind]]})
    return held_only(y)


@st.composite
def total_instances(draw, schema, most=2, variables=False):
    return known(draw(instances(schema, most, total=True)), variables)


@st.composite
def total_pairs(draw, variables=False):
    schema = draw(schemas())
    return draw(total_instances(schema, 2, variables)), draw(total_instances(schema, 3, variables))


def images(morphisms):
    """Morphisms as a sorted list of what they send where."""
    return sorted(repr(({ob: ids.tolist() for ob, ids in f.components.items()}, dict(f.variables))) for f in morphisms)


def outcome(action):
    """What an action returns, or the error it raises."""
    try:
        return action()
    except Sim2RealError as error:
        return type(error), str(error)


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


@FIXED
@given(total_pairs(variables=True), st.data())
def test_homomorphisms(catlab, pair, data):
    x, y = pair
    sorts = (*x.schema.obs, *x.schema.attrtypes)
    monic = data.draw(st.booleans() | st.sets(st.sampled_from(sorts)))
    iso = data.draw(st.just(False) | st.booleans() | st.sets(st.sampled_from(sorts), max_size=1))
    initial = {}
    ob = data.draw(st.sampled_from(x.schema.obs))
    if x.nparts(ob) and data.draw(st.booleans()):
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


@FIXED
@given(st.data())
def test_prescribed_images_of_variables(catlab, data):
    x, y = data.draw(total_pairs(variables=True))
    held = [(kind, k) for kind in x.schema.attrtypes for k in range(x.nvars(kind))]
    assume(held)
    kind, k = data.draw(st.sampled_from(held))
    options = st.just(SOME[x.schema.attrtypes[kind]])
    if y.nvars(kind):
        options |= st.builds(Var, st.integers(0, y.nvars(kind) - 1))
    initial = {kind: {k: data.draw(options)}}
    assert images(homomorphisms(catlab(x), y, initial=initial)) == images(homomorphisms(x, y, initial=initial))


@FIXED
@given(st.data())
def test_isomorphism(catlab, data):
    x, y = data.draw(total_pairs())
    order = {ob: data.draw(st.permutations(x.parts(ob).tolist())) for ob in x.schema.obs}
    assert is_isomorphic(catlab(x), x.restrict(order).instance)
    assert is_isomorphic(catlab(x), y) == is_isomorphic(x, y)


def same_cone(there, mine, is_limit):
    """The same apex up to the isomorphism that goes with the legs."""
    assert is_isomorphic(there.apex.to_engine("embedded"), mine.apex)
    assert there.apex.engine == "catlab"
    assert all(leg.is_natural for leg in there.legs)
    for theirs, ours in zip(there.legs, mine.legs, strict=True):
        assert (theirs.codom if is_limit else theirs.dom) == (ours.codom if is_limit else ours.dom)
    u = there.universal(*mine.legs)
    assert u.is_iso


@FIXED
@given(st.data())
def test_coproducts(catlab, data):
    x, y = data.draw(total_pairs())
    same_cone(coproduct(catlab(x), catlab(y)), coproduct(x, y), False)


@st.composite
def total_spans(draw):
    """Two morphisms from one instance, everything defined and no variables."""
    f, g = draw(spans())
    for morphism in (f, g):
        for end in (morphism.dom, morphism.codom):
            assume(all((end.column_ids(name) >= 0).all() for name in end.schema.homs))
            assume(end == known(end))
    return f, g


@FIXED
@given(st.data())
def test_pushouts_and_coequalizers(catlab, data):
    f, g = data.draw(total_spans())
    z, x, y = catlab(f.dom), catlab(f.codom), catlab(g.codom)
    moved = Morphism(z, x, f.components), Morphism(z, y, g.components)
    mine, theirs = outcome(lambda: pushout(f, g)), outcome(lambda: pushout(*moved))
    if isinstance(mine, tuple):
        assert theirs == mine
    else:
        same_cone(theirs, mine, False)
    if f.codom == g.codom:
        mine, theirs = outcome(lambda: coequalizer(f, g)), outcome(lambda: coequalizer(*moved))
        if isinstance(mine, tuple):
            assert theirs == mine
        else:
            same_cone(theirs, mine, False)


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


SURPRISES = {
    "a coproduct with what is undefined": (lambda x: coproduct(x, x), "'deploy' of 'Policy' 2 is undefined"),
    "a coproduct with NaN": (
        lambda x: coproduct(filled(x, kl_gap=math.nan), x),
        "'kl_gap' of 'Policy' 0 is NaN",
    ),
    "a coproduct with variables": (lambda x: coproduct(filled(x), x), "without attribute variables"),
    "a pushout with what is undefined": (
        lambda x: pushout(Morphism.identity(x), Morphism.identity(x)),
        "'deploy' of 'Policy' 2 is undefined",
    ),
}


def filled(x, kl_gap=0.5):
    """The study with everything defined; its variables are at no part any more."""
    x.set("Policy", [0, 1, 2], kl_gap=kl_gap, policy_name="p", deploy=0, transfer=0)
    x.set("SimEnv", [0, 1, 2, 3], seed=1, noisy=True)
    return x


@pytest.mark.parametrize("what", SURPRISES)
def test_what_catlab_cannot_do_is_refused_with_the_remedy(catlab, what):
    action, why = SURPRISES[what]
    with refused(EngineError, "Catlab computes", why, "ask the embedded engine"):
        action(catlab(study()))


def test_variables_at_no_part(catlab):
    x = ACSet(Schema("Points", ["X"], attrtypes={"T": float}, attrs={"t": ("X", "T")}))
    x.add("X", t=0.5)
    x.add_vars("T")
    with pytest.raises(InstanceError, match="prescribe one"):
        homomorphism(catlab(x), x)
    with pytest.raises(EngineError, match=r"no place for Var\(0\) of 'T'"):
        homomorphism(catlab(x), x, initial={"T": {0: 1.0}})


def test_engines_can_be_mixed_and_the_result_lives_in_catlab(catlab):
    two, three = path(2), path(3)
    assert count_homomorphisms(two, catlab(three)) == count_homomorphisms(catlab(two), three) == 2
    assert coproduct(two, catlab(three)).apex.engine == "catlab"
