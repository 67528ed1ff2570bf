"""Pulling instances back along functors: Catlab's own answers, and functoriality."""

import numpy as np
from acset_strategies import FIXED, STUDY, acsets, refused, schemas, study
from hypothesis import given
from hypothesis import strategies as st
from migration_strategies import functors_into

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.migration.delta import delta, delta_morphism
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.parts import disjoint_union
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.errors import SchemaError

GRAPH = Schema("Graph", ["V", "E"], {"src": ("E", "V"), "tgt": ("E", "V")})


@FIXED
@given(st.data())
def test_delta_is_functorial(data):
    schema = data.draw(schemas())
    g = data.draw(functors_into(schema, "B"))
    f = data.draw(functors_into(g.dom, "A"))
    x = data.draw(acsets(schema))
    assert delta(SchemaFunctor.identity(schema), x) == x
    assert delta(f.then(g), x) == delta(f, delta(g, x))


@FIXED
@given(st.data())
def test_every_column_is_the_composite_of_its_path(data):
    x = data.draw(acsets())
    f = data.draw(functors_into(x.schema))
    y = delta(f, x)
    for ob, image in f.obs.items():
        assert y.nparts(ob) == x.nparts(image)
        for name in (*f.dom.homs_from(ob), *f.dom.attrs_from(ob)):
            path = {**f.homs, **f.attrs}[name].arrows
            assert [y.subpart(name, i) for i in y.parts(ob)] == [x.subpart(path, int(i), ob=image) for i in y.parts(ob)]


@FIXED
@given(st.data())
def test_delta_is_a_functor_of_instances(data):
    """It keeps identities, composites and naturality, here of an inclusion into two copies and their folding."""
    x = data.draw(acsets())
    f = data.draw(functors_into(x.schema))
    both, _, second = disjoint_union(x, x)
    kinds = x.schema.attrtypes
    inclusion = Morphism(
        x,
        both,
        {ob: second[ob] for ob in x.schema.obs},
        {kind: tuple(map(Var, second[kind].tolist())) for kind in kinds},
    )
    folding = Morphism(
        both,
        x,
        {ob: np.tile(x.parts(ob), 2) for ob in x.schema.obs},
        {kind: tuple(map(Var, range(x.nvars(kind)))) * 2 for kind in kinds},
    )
    assert delta_morphism(f, Morphism.identity(x)) == Morphism.identity(delta(f, x))
    assert delta_morphism(f, inclusion).is_natural
    assert delta_morphism(f, folding).is_natural
    assert delta_morphism(f, inclusion).then(delta_morphism(f, folding)) == Morphism.identity(delta(f, x))


def test_variables_and_undefined_values_come_along():
    gaps = Schema("Gaps", ["Env"], attrtypes={"G": float}, attrs={"gap": ("Env", "G"), "next_gap": ("Env", "G")})
    f = SchemaFunctor(
        gaps,
        STUDY,
        {"Env": "SimEnv"},
        attrtypes={"G": "TransferGap"},
        attrs={"gap": "train.kl_gap", "next_gap": "train.transfer.kl_gap"},
    )
    y = delta(f, study())
    assert y.nvars("G") == 2
    assert [y.subpart("gap", i) for i in range(4)] == [Var(1), 0.02, 0.02, 0.7]
    assert [y.subpart("next_gap", i) for i in range(4)] == [None, 0.02, 0.02, 0.02]


def test_the_result_is_independent_of_what_it_came_from():
    x = ACSet(GRAPH)
    x.add_parts("V", 2)
    x.add("E", src=0, tgt=1)
    y = delta(SchemaFunctor.identity(GRAPH), x)
    y.set("E", 0, src=1)
    x.add("V")
    assert (x.subpart("src", 0), y.subpart("src", 0), y.nparts("V")) == (0, 1, 2)


def test_an_instance_of_another_schema_is_refused():
    with refused(SchemaError, "delta", "Graph", "Study"):
        delta(SchemaFunctor.identity(GRAPH), study())


def test_a_million_parts_are_one_composite_of_columns():
    dynamics = Schema("Dynamics", ["X"], {"next": ("X", "X")})
    n = 10**6
    x = ACSet(dynamics)
    x.add_parts("X", n)
    x.set("X", x.parts("X"), next=(np.arange(n) * 7 + 3) % n)
    y = delta(SchemaFunctor(GRAPH, dynamics, {"V": "X", "E": "X"}, {"src": "", "tgt": "next.next"}), x)
    assert y.subpart("tgt", 5) == (38 * 7 + 3) % n
