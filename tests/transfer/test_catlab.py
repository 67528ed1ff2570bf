"""The main road: instances of the project's own schemas are built in Catlab, and both engines answer alike."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from both_engines import images, outcome, same_cone
from demo_shape import demo_shape
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from places import ROOT

from sim2real_cat import strategies
from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms, homomorphisms, is_isomorphic
from sim2real_cat.acsets.maps.limits import equalizer, product, pullback
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import EngineError
from sim2real_cat.study.study import Study
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.report import ALL, check_in_both
from sim2real_cat.transfer.laws.table_laws import identity_subobjects
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

PAGE = ROOT / "docs" / "how-to" / "catlab.md"


@pytest.fixture
def no_moving(monkeypatch):
    """Refuse to move an instance from one engine to another."""

    def refuse(*_):
        pytest.fail("the instance was built elsewhere and moved")

    monkeypatch.setattr(ACSet, "to_engine", refuse)


@pytest.fixture(scope="session")
def deployments(make_deployment):
    """Two policies on one robot, and one on another that nothing can replace."""
    return [make_deployment("plain"), make_deployment("wide", returns=(2.0,)), make_deployment("lone", robot="other")]


# An instance is built in Catlab from the start


def test_deployments_become_an_instance_in_catlab(catlab_engine, deployments, make_gap, no_moving):
    gaps = [make_gap(0.9), make_gap(0.1), make_gap(None, note="no noise")]
    there = build_instance(deployments, gaps, engine=catlab_engine)
    assert there.acset.engine == "catlab"
    assert there == build_instance(deployments, gaps)
    assert there.acset.subpart("transfer.policy_name").tolist() == ["wide", "wide", None]


def test_an_unknown_engine_is_refused_before_anything_is_measured(deployments, monkeypatch):
    monkeypatch.setattr("sim2real_cat.transfer.build.measure", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(EngineError, match="unknown engine 'catlb'"):
        build_instance(deployments, engine="catlb")


def test_a_study_builds_its_instance_in_catlab_which_checks_the_laws(
    catlab_engine, tiny_document, write_study, tiny_run, no_moving, monkeypatch
):
    asked, call = [], julia.call

    def recorded(function, *arguments):
        asked.append((function, *arguments[1:2]))
        return call(function, *arguments)

    monkeypatch.setattr(julia, "call", recorded)
    result = Study.from_toml(write_study(tiny_document)).run(threads=1, engine=catlab_engine)
    assert result.instance.acset.engine == "catlab"
    assert result.report == tiny_run[1].report
    assert [law for function, *law in asked if function == "law_rows"] == [
        [law.name] for law in ALL if not law.python_only
    ]
    assert [function for function, *_ in asked].count("empty_instance") == 1


@pytest.mark.parametrize("schema", [SchTransferStudy, None])
def test_a_file_is_read_into_catlab(catlab_engine, tiny_run, no_moving, schema):
    there = TransferInstance.read(tiny_run[0] / "instance.json", schema, engine=catlab_engine)
    assert there.acset.engine == "catlab"
    assert there == tiny_run[1].instance
    assert there.acset.to_json() == tiny_run[1].instance.acset.to_json()


def test_json_and_rows_make_an_instance_in_catlab(catlab_engine, no_moving):
    there = ACSet(SchSim2RealTransfer, engine=catlab_engine)
    there.add_parts("Observation", 2)
    there.add("RealEnv", observe_real=0)
    there.add_parts("Policy", 2, deploy=0, kl_gap=[0.9, None])
    there.add_parts("SimEnv", 3, train=[0, 0, 1], observe_sim=1)
    assert there.subpart("train.kl_gap").tolist() == [0.9, 0.9, None]
    again = ACSet.from_json(SchSim2RealTransfer, there.to_json(), engine=catlab_engine)
    assert (again.engine, again) == ("catlab", there)


# Both engines answer alike, on the project's own schemas

FEW = settings(derandomize=True, deadline=None, max_examples=25)
DEMO, PARTIAL_DEMO = demo_shape(), demo_shape(gaps_and_heirs=False)


@pytest.fixture(scope="session")
def catlab(catlab_engine):
    """An instance moved to Catlab, or to its stand-in."""
    return lambda x: x.to_engine(catlab_engine)


def studies(max_policies=3):
    """Instances of either schema: lawful or not, with undefined transfers, gaps that were not measured, and names."""
    drawn = [
        strategies.transfer_instances(satisfying=(), schema=schema, decided="some", max_policies=max_policies)
        for schema in (SchSim2RealTransfer, SchTransferStudy)
    ]
    return st.one_of(drawn).map(lambda instance: instance.acset)


@st.composite
def parallel(draw, most=6):
    """Two morphisms from one small instance into one study: they pick out parts of it."""
    y = draw(studies())
    assume(y.nparts("Policy"))
    x = y.like()
    for _ in range(draw(st.integers(1, 2))):
        policy = x.add("Policy")
        if draw(st.booleans()):
            x.add("SimEnv", train=policy)
    found = list(itertools.islice(homomorphisms(x, y), most))
    assume(found)
    return draw(st.sampled_from(found)), draw(st.sampled_from(found))


def moved(catlab, *morphisms):
    """Morphisms between the same instances in Catlab."""
    ends = {}
    for f in morphisms:
        for end in (f.dom, f.codom):
            ends.setdefault(id(end), catlab(end))
    return [Morphism(ends[id(f.dom)], ends[id(f.codom)], f.components, f.variables) for f in morphisms]


def shuffled(x, rng):
    """The same instance with its parts in another order."""
    return x.restrict({ob: rng.permutation(x.nparts(ob)) for ob in x.schema.obs}).instance


@FEW
@given(studies(), st.data())
def test_homomorphisms(catlab, x, data):
    y = data.draw(st.sampled_from([x, x.disjoint_union(x).instance]))
    asked = {"monic": data.draw(st.booleans())}
    mine = outcome(lambda: images(itertools.islice(homomorphisms(x, y, **asked), 200)))
    assume(len(mine) < 200)
    assert outcome(lambda: images(homomorphisms(catlab(x), catlab(y), **asked))) == mine
    assert outcome(lambda: count_homomorphisms(catlab(x), y, **asked)) == (
        mine if isinstance(mine, tuple) else len(mine)
    )


@FEW
@given(studies(), studies(), st.integers(0, 2**32 - 1))
def test_isomorphism(catlab, x, y, seed):
    assert is_isomorphic(catlab(x), shuffled(x, np.random.default_rng(seed)))
    if x.schema == y.schema:
        assert is_isomorphic(catlab(x), catlab(y)) == is_isomorphic(x, y)


@pytest.mark.parametrize("x", [DEMO, PARTIAL_DEMO], ids=["measured", "partial"])
def test_the_demo_is_isomorphic_to_itself_in_another_order(catlab, x):
    other = shuffled(x, np.random.default_rng(1))
    assert is_isomorphic(catlab(x), catlab(other))
    other.set("Policy", other.incident("hopper-none", "policy_name"), kl_gap=[0.5])
    assert not is_isomorphic(catlab(x), catlab(other))


@FEW
@given(studies(), st.data())
def test_coproducts(catlab, x, data):
    y = data.draw(studies().filter(lambda y: y.schema == x.schema))
    same_cone(coproduct(catlab(x), catlab(y)), coproduct(x, y))


@pytest.mark.parametrize("x", [DEMO, PARTIAL_DEMO], ids=["measured", "partial"])
def test_a_coproduct_with_the_demo(catlab, x):
    same_cone(coproduct(catlab(x), catlab(DEMO)), coproduct(x, DEMO))


@FEW
@given(parallel())
def test_pushouts(catlab, pair):
    f, g = pair
    same_cone(outcome(lambda: pushout(*moved(catlab, f, g))), outcome(lambda: pushout(f, g)))


@FEW
@given(parallel())
def test_coequalizers(catlab, pair):
    f, g = pair
    same_cone(outcome(lambda: coequalizer(*moved(catlab, f, g))), outcome(lambda: coequalizer(f, g)))


@pytest.mark.parametrize("x", [DEMO, PARTIAL_DEMO], ids=["measured", "partial"])
def test_gluing_two_studies_along_a_robot(catlab, x):
    """A pushout over what both have: one robot, and what was seen of it."""
    shared = x.like()
    shared.add("Observation", observation_name="pendulum (real)", episodes=72)
    shared.add("RealEnv", real_name="pendulum", observe_real=0)
    (one,), (two,) = list(homomorphisms(shared, x)), list(homomorphisms(shared, DEMO))
    glued = pushout(*moved(catlab, one, two))
    same_cone(glued, pushout(one, two))
    assert glued.apex.nparts("RealEnv") == 3


@FEW
@given(studies(2), st.data())
def test_products(catlab, x, data):
    y = data.draw(st.sampled_from([x]) | studies(2).filter(lambda y: y.schema == x.schema))
    same_cone(outcome(lambda: product(catlab(x), catlab(y))), outcome(lambda: product(x, y)))


@pytest.mark.parametrize("limit", [pullback, equalizer])
@FEW
@given(pair=parallel())
def test_limits_of_two_morphisms(catlab, limit, pair):
    f, g = pair
    same_cone(outcome(lambda: limit(*moved(catlab, f, g))), outcome(lambda: limit(f, g)))


def test_what_the_heirs_of_the_demo_keep(catlab):
    """The equalizer of transfer and the identity, on the demo, where transfer is a morphism of the set of policies."""
    for x in (DEMO, PARTIAL_DEMO):
        sub = identity_subobjects(catlab(x), 0.5).equalizer
        assert sub.parts["Policy"].tolist() == identity_subobjects(x, 0.5).equalizer.parts["Policy"].tolist()
        assert sub.parts["Policy"].tolist() == [2, 4, 5]


@FEW
@given(studies(), st.data())
def test_subobjects(catlab, x, data):
    there = catlab(x)
    drawn = [
        {
            ob: data.draw(st.lists(st.sampled_from(x.parts(ob).tolist()), max_size=2))
            for ob in x.schema.obs
            if x.nparts(ob)
        }
        for _ in range(2)
    ]
    mine, theirs = ([SubInstance.generated(whole, parts) for parts in drawn] for whole in (x, there))
    for operation in ("meet", "join"):
        a, b = (getattr(one, operation)(two) for one, two in (mine, theirs))
        assert repr(a) == repr(b)
    small, inclusion = theirs[0].to_instance()
    assert small == mine[0].to_instance()[0]
    assert inclusion.is_monic


GAPS = Schema("Gaps", ["World", "Kept"], {"in": ("World", "Kept")}, {"Gap": float}, {"gap": ("Kept", "Gap")})
"""Worlds, the policies they trained, and what is known of these policies' gaps."""


@pytest.mark.parametrize("path", ["train", "train.transfer"])
@FEW
@given(x=studies())
def test_delta(catlab, path, x):
    functor = SchemaFunctor(
        GAPS,
        x.schema,
        {"World": "SimEnv", "Kept": "Policy"},
        {"in": path},
        {"Gap": "TransferGap"},
        {"gap": "kl_gap"},
    )
    there = delta(functor, catlab(x))
    assert (there.engine, there) == ("catlab", delta(functor, x))


@pytest.mark.parametrize("x", [DEMO, PARTIAL_DEMO], ids=["measured", "partial"])
def test_the_demo_forgets_its_names(catlab, x):
    functor = SchemaFunctor.inclusion(SchSim2RealTransfer, SchTransferStudy)
    there = delta(functor, catlab(x))
    assert (there.engine, there) == ("catlab", delta(functor, x))
    assert TransferInstance(there).check(0.5)["transfer-identity"].verdict == "holds"


QUERIES = [
    ("SimEnv(_id=e, train=p), Policy(_id=p, kl_gap=g)", None),
    ("SimEnv(_id=e, train=p), Policy(_id=p, kl_gap=g)", "g > 0.5"),
    ("Policy(_id=p, transfer=q), Policy(_id=q, transfer=q, deploy=r), Policy(_id=p, deploy=r)", None),
    ("Policy(_id=p, transfer=p)", None),
    ("Policy(_id=p, kl_gap=g), Policy(_id=q, kl_gap=g)", None),
    ("RealEnv(_id=r, observe_real=o), SimEnv(_id=e, observe_sim=o)", None),
    ("Policy(_id=p), RealEnv(_id=r)", None),
]


@pytest.mark.parametrize(("body", "where"), QUERIES)
@FEW
@given(x=studies())
def test_queries(catlab, body, where, x):
    assert catlab(x).query(body, where=where) == x.query(body, where=where)


NAMED_QUERIES = [
    ("Policy(_id=p, policy_name=$name, transfer=q), Policy(_id=q, policy_name=heir)", {"name": "pendulum-none"}),
    ("SimEnv(_id=e, train=p, member_gap=m), Policy(_id=p, kl_gap=g, policy_name=n)", {}),
    ("Draw(drawn_in=e, parameter=k, drawn_value=v), SimEnv(_id=e, train=p), Policy(_id=p, deploy=0)", {}),
]


@pytest.mark.parametrize(("body", "params"), NAMED_QUERIES)
def test_queries_of_the_demo(catlab, body, params):
    for x in (DEMO, PARTIAL_DEMO):
        assert catlab(x).query(body, params=params) == x.query(body, params=params)


def test_laws_of_the_demo(catlab):
    for x in (DEMO, PARTIAL_DEMO):
        for epsilon in (0.05, 0.5, 2.0, 2.2):
            mine = TransferInstance(x).check(epsilon)
            assert TransferInstance(catlab(x)).check(epsilon) == mine
            assert check_in_both(x, epsilon) == mine


def test_the_page_on_catlab_runs_with_and_without_julia(catlab_engine, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    page = compile("\n".join(blocks), PAGE.name, "exec")
    exec(page, {})
    there = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(julia, "_worker", None)
    monkeypatch.setattr(julia, "missing", lambda: "there is no Julia")
    exec(page, {})
    here = capsys.readouterr().out.splitlines()
    glued = there.index("SchSim2RealTransfer")  # Catlab 0.17.4 numbers the parts of a pushout in another order
    assert here[: glued + 1] == ["there is no Julia", *there[:glued]]
    assert here[-1] == there[-1] == "16"
    assert [line for line in here if "part" in line] == [line for line in there if "part" in line]
