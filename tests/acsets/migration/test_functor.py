"""Functors between schemas: what is one, what is not, and the laws of their composition."""

import pickle

import pytest
from acset_strategies import FIXED, STUDY, paths_in, refused, schemas
from hypothesis import given
from hypothesis import strategies as st
from migration_strategies import functors_into

from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Path, Schema
from sim2real_cat.errors import SchemaError

GRAPH = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})
WEIGHTED = GRAPH.extend("Weighted", attrtypes={"W": float}, attrs={"weight": ("E", "W")})
DYNAMICS = Schema("Dynamics", ["X"], {"next": ("X", "X")})
IDEMPOTENT = Schema("Idempotent", ["X"], {"next": ("X", "X")}, equations=[("next.next", "next")])
MONOID = Schema("Monoid", ["X"], {"a": ("X", "X"), "b": ("X", "X")})


@st.composite
def composable(draw, n):
    """``n`` functors, each ending where the next one starts."""
    chain = []
    codom = draw(schemas())
    for i in range(n):
        chain.insert(0, draw(functors_into(codom, "ABC"[i])))
        codom = chain[0].dom
    return chain


@FIXED
@given(composable(3))
def test_functors_form_a_category(chain):
    f, g, h = chain
    assert f.then(g).then(h) == f.then(g.then(h))
    assert SchemaFunctor.identity(f.dom).then(f) == f == f.then(SchemaFunctor.identity(f.codom))


@FIXED
@given(composable(2), st.data())
def test_a_functor_keeps_identities_and_composites(chain, data):
    f, g = chain
    dom, path = data.draw(paths_in(f.dom))
    cut = data.draw(st.integers(0, len(path)))
    image = f.path(path, dom)
    assert image.arrows == f.path(path[:cut], dom).arrows + sum(
        ({**f.homs, **f.attrs}[name].arrows for name in path[cut:]), ()
    )
    assert f.codom.path(image.arrows, image.dom) == image
    assert f.path("", dom) == Path(f.obs[dom], (), f.obs[dom])
    assert f.then(g).path(path, dom) == g.path(image.arrows, image.dom)


@FIXED
@given(composable(1))
def test_a_functor_is_a_value(chain):
    (f,) = chain
    assert eval(repr(f)) == f
    assert hash(eval(repr(f))) == hash(f)
    assert pickle.loads(pickle.dumps(f)) == f
    with pytest.raises(AttributeError, match="never changes"):
        f.obs = {}


def test_an_inclusion_sends_everything_to_itself():
    f = SchemaFunctor.inclusion(GRAPH, WEIGHTED)
    assert (f.obs, {name: str(path) for name, path in f.homs.items()}) == (
        {"V": "V", "E": "E"},
        {"src": "src", "tgt": "tgt"},
    )
    with refused(SchemaError, "Graph does not extend Weighted"):
        SchemaFunctor.inclusion(WEIGHTED, GRAPH)


def test_an_attribute_goes_to_a_path_that_ends_in_one():
    f = SchemaFunctor(
        Schema("Gaps", ["Env"], attrtypes={"G": float}, attrs={"gap": ("Env", "G")}),
        STUDY,
        {"Env": "SimEnv"},
        attrtypes={"G": "TransferGap"},
        attrs={"gap": "train.transfer.kl_gap"},
    )
    assert f.path("gap") == Path("SimEnv", ("train", "transfer", "kl_gap"), "TransferGap")


OBS, HOMS = {"V": "X", "E": "X"}, {"src": "", "tgt": "next"}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((GRAPH, DYNAMICS, {"V": "X"}, HOMS), ["object 'E' has no image", "obs={'E': ...}"]),
        ((GRAPH, DYNAMICS, OBS, {"src": ""}), ["hom 'tgt' has no image", "homs={'tgt': ...}"]),
        ((GRAPH, DYNAMICS, {**OBS, "U": "X"}, HOMS), ["obs", "unknown object 'U'", "Valid: V, E"]),
        ((GRAPH, DYNAMICS, OBS, {**HOMS, "trg": ""}), ["homs", "unknown hom 'trg'", "did you mean 'tgt'"]),
        ((GRAPH, DYNAMICS, {**OBS, "V": "Y"}, HOMS), ["object 'V' goes to an unknown object 'Y'", "Valid: X"]),
        ((GRAPH, DYNAMICS, OBS, {**HOMS, "tgt": "nxt"}), ["hom 'tgt'", "unknown arrow 'nxt'", "did you mean 'next'"]),
        (
            (GRAPH, GRAPH, {"V": "V", "E": "V"}, {"src": "src", "tgt": ""}),
            ["hom 'src' must go from V to V, but 'src' goes from E to V"],
        ),
        (
            (GRAPH, GRAPH, {"V": "V", "E": "E"}, {"src": "", "tgt": "tgt"}),
            ["hom 'src' must go from E to V, but the identity goes from E to E"],
        ),
        (
            (WEIGHTED, STUDY, {"V": "Policy", "E": "SimEnv"}, {"src": "train", "tgt": "train"}, {"W": "TransferGap"}),
            ["attribute 'weight' has no image"],
        ),
        (
            (WEIGHTED, STUDY, {"V": "Policy", "E": "SimEnv"}, {"src": "train", "tgt": "train"}),
            ["attribute type 'W' has no image"],
        ),
        (
            (WEIGHTED, WEIGHTED, {"V": "V", "E": "E"}, {"src": "src", "tgt": "tgt"}, {"W": "V"}, {"weight": "weight"}),
            ["attribute type 'W' goes to an unknown attribute type 'V'"],
        ),
        (
            (
                GRAPH.extend("Seeded", attrtypes={"W": float}, attrs={"weight": ("V", "W")}),
                STUDY,
                {"V": "SimEnv", "E": "SimEnv"},
                {"src": "", "tgt": ""},
                {"W": "Seed"},
                {"weight": "seed"},
            ),
            ["'W' has Python type float", "'Seed' has int", "same"],
        ),
        (
            (WEIGHTED, WEIGHTED, {"V": "V", "E": "E"}, {"src": "src", "tgt": "tgt"}, {"W": "W"}, {"weight": "src"}),
            ["attribute 'weight' must go from E to W, but 'src' goes from E to V"],
        ),
        (
            (IDEMPOTENT, DYNAMICS, {"X": "X"}, {"next": "next"}),
            ["equation 'next.next' = 'next' goes to 'next.next' = 'next'", "Dynamics does not say"],
        ),
    ],
)
def test_what_is_no_functor_is_refused(arguments, parts):
    with refused(SchemaError, f"functor {arguments[0].name} -> {arguments[1].name}: ", *parts):
        SchemaFunctor(*arguments)


def test_functors_that_do_not_meet_do_not_compose():
    f = SchemaFunctor(GRAPH, DYNAMICS, OBS, HOMS)
    with refused(SchemaError, "do not compose", "Dynamics", "Graph"):
        f.then(f)


@pytest.mark.parametrize(
    ("codom", "image"),
    [
        (IDEMPOTENT, "next"),
        (IDEMPOTENT, "next.next"),
        (IDEMPOTENT, "next.next.next"),
        (IDEMPOTENT, ""),
        (MONOID.extend("Involution", equations=[("a.a", ""), ("b.b.b", "b"), ("a.b", "b.a")]), "a.b.b.a"),
        (MONOID.extend("Detour", equations=[("a.a", "b"), ("b.b", "b"), ("b.a", "b")]), "a.a"),
    ],
)
def test_an_equation_kept_by_the_codomain_is_found(codom, image):
    assert SchemaFunctor(IDEMPOTENT, codom, {"X": "X"}, {"next": image}).undecided == ()


@pytest.mark.parametrize(
    ("equations", "image"),
    [([], "a"), ([("a.a", "b")], "a"), ([("a.b", "b.a")], "a.b"), ([("b.b", "b")], "a")],
)
def test_an_equation_broken_by_the_codomain_is_refused(equations, image):
    with refused(SchemaError, "equation 'next.next' = 'next'", f"'{image}.{image}' = '{image}'"):
        SchemaFunctor(IDEMPOTENT, MONOID.extend("M", equations=equations), {"X": "X"}, {"next": image})


def test_an_equation_that_cannot_be_decided_is_named():
    """Both sides equal infinitely many paths and never meet: the search ends, the functor says so."""
    codom = MONOID.extend("Idempotents", equations=[("a.a", "a"), ("b.b", "b")])
    f = SchemaFunctor(IDEMPOTENT, codom, {"X": "X"}, {"next": "a.b"})
    assert f.undecided == IDEMPOTENT.equations
    assert f.then(SchemaFunctor.identity(codom)).undecided == IDEMPOTENT.equations
