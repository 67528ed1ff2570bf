"""Encodings of instances for Catlab: their homomorphisms and colimits, found by the embedded engine, are ours."""

from __future__ import annotations

from acset_strategies import schemas
from both_engines import images, outcome
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from morphism_strategies import instances, parallel, picking, spans

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab.spans import Diagram
from sim2real_cat.acsets.catlab.universal import coinciding
from sim2real_cat.acsets.codecs import Codec
from sim2real_cat.acsets.columns import Var
from sim2real_cat.acsets.maps.colimits import Colimit, coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import homomorphisms
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.partitions import classes
from sim2real_cat.acsets.schema import Schema

PLACE = Codec(tuple, list, tuple)
CLASHING = Schema(
    "Clashing",
    ["X", "f_span"],
    {"f": ("X", "f_span"), "f_start": ("X", "X"), "f_end_": ("X", "X")},
    {"T": PLACE, "b_span": float},
    {"a": ("X", "T"), "b": ("X", "T"), "f_end": ("X", "b_span")},
)
MORE = settings(max_examples=150)


def require_plain(x):
    """Everything is defined, and there are no attributes."""
    assert not x.schema.attrtypes
    assert all((x.column_ids(f) >= 0).all() for f in x.schema.homs)


def found_by_encodings(x, y, *, injective=(), prescribed=None):
    """The homomorphisms of instances, as those of their encodings that keep the values."""
    prescribed = prescribed or {}
    kinds = x.schema.attrtypes
    images_of = {kind: tuple(prescribed.get(kind, {}).values()) for kind in kinds}
    diagram = Diagram((x, y), (images_of,), lean=[kind for kind in kinds if kind not in injective])
    there, here, _ = (encoded.instance for encoded in diagram.encoding.encoded)
    require_plain(there)
    require_plain(here)
    initial = {}
    for kind, held in diagram.held.items():
        variables = [len(held) + k for k in prescribed.get(kind, {})]
        initial[kind] = dict(enumerate(held.tolist()))
        initial[kind] |= zip(variables, diagram.images[0][kind].tolist(), strict=True)
    found = []
    for f in homomorphisms(there, here, monic=injective, initial=initial):
        variables = {
            kind: tuple(diagram.image(kind, part) for part in f.components[kind][len(held) :].tolist())
            for kind, held in diagram.held.items()
        }
        found.append(Morphism(x, y, {ob: f.components[ob] for ob in x.schema.obs}, variables))
    return images(found)


@MORE
@given(st.data())
def test_homomorphisms_of_encodings_are_those_of_the_instances(data):
    schema = data.draw(schemas())
    x, y = data.draw(instances(schema, 2)), data.draw(instances(schema, 3))
    assert found_by_encodings(x, y) == images(homomorphisms(x, y))


def encoded_colimit(feet, tip, arrows):
    """The colimit of the encodings of f, g: tip -> feet, by the embedded engine, decoded."""
    diagram = Diagram([*feet, *tip], [f.variables for f in arrows])
    for encoded in diagram.encoding.encoded:
        require_plain(encoded.instance)
    ends = diagram.encoding.encoded[: len(feet)]
    if tip:
        start = diagram.encoding.encoded[len(feet)]
        components = [
            diagram.arrow(start, end, f.components, images_of)
            for f, images_of, end in zip(arrows, diagram.images, ends * 2, strict=False)
        ]
    else:
        start, components = diagram.values, [diagram.inclusion(end) for end in ends]
    found = [morphism(start.instance, end.instance, one) for end, one in zip(ends * 2, components, strict=False)]
    cocone = (pushout if len(feet) == 2 else coequalizer)(*found)
    if len(feet) == 1:
        require_pointwise(*found, cocone)
    apex, legs = cocone.apex, [leg.components for leg in cocone.legs]
    while (step := coinciding(apex, diagram.encoding.spans.values())) is not None:
        domain, *sides = step
        require_plain(domain)
        pair = [morphism(domain, apex, side) for side in sides]
        glued = coequalizer(*pair)
        require_pointwise(*pair, glued)
        apex = glued.apex
        legs = [{ob: glued.legs[0].components[ob][ids] for ob, ids in leg.items()} for leg in legs]
    result, variables = diagram.filled(ACSet(feet[0].schema), apex, legs)
    return Colimit(
        result,
        tuple(
            Morphism(foot, result, {ob: leg[ob] for ob in foot.schema.obs}, images_of)
            for foot, leg, images_of in zip(feet, legs, variables, strict=True)
        ),
    )


def require_pointwise(f, g, glued):
    """The coequalizer identifies nothing that f and g do not send one part to: so Catlab computes it."""
    for ob, ids in f.components.items():
        assert glued.apex.nparts(ob) == len(set(classes(f.codom.nparts(ob), ids, g.components[ob]).tolist()))


def morphism(dom, codom, components):
    f = Morphism(dom, codom, components)
    assert f.is_natural
    return f


def same_colimit(theirs, ours):
    """The same up to the isomorphism that goes with the legs."""
    assert all(leg.is_natural for leg in theirs.legs)
    assert theirs.universal(*ours.legs).is_iso
    assert ours.universal(*theirs.legs).is_iso


@MORE
@given(st.data())
def test_coproducts_of_encodings(data):
    schema = data.draw(schemas())
    x, y = data.draw(instances(schema, 2)), data.draw(instances(schema, 2))
    found = encoded_colimit([x, y], [], [])
    mine = coproduct(x, y)
    same_colimit(found, mine)
    assert found.apex == mine.apex


@MORE
@given(st.one_of(spans(), picking()))
def test_pushouts_of_encodings(pair):
    f, g = pair
    mine = outcome(lambda: pushout(f, g))
    assume(isinstance(mine, Colimit))
    same_colimit(encoded_colimit([f.codom, g.codom], [f.dom], [f, g]), mine)


@MORE
@given(st.one_of(parallel(3), picking()))
def test_coequalizers_of_encodings(pair):
    f, g = pair
    mine = outcome(lambda: coequalizer(f, g))
    assume(isinstance(mine, Colimit))
    same_colimit(encoded_colimit([f.codom], [f.dom], [f, g]), mine)


def test_new_names_do_not_clash_and_values_of_codecs_are_numbered():
    x, y = ACSet(CLASHING), ACSet(CLASHING)
    x.add_vars("T", 1)
    x.add_parts("X", 2, a=[Var(0), (1, 2)], b=[Var(0), None], f_end=[float("nan"), None])
    y.add_vars("T", 1)
    y.add_parts("f_span", 1)
    y.add_parts("X", 3, a=[(3,), (1, 2), (4,)], b=[(3,), Var(0), (5,)], f_end=[float("nan"), 0.5, float("nan")], f=0)
    assert {f: span.ob for f, span in Diagram((x, y)).encoding.spans.items() if f in ("f", "b")} == {
        "f": "f_span_",
        "b": "b_span_",
    }
    assert found_by_encodings(x, y) == images(homomorphisms(x, y))
    assert [f.variables["T"] for f in homomorphisms(x, y)] == [((3,),)]


@MORE
@given(st.data())
def test_morphisms_that_are_injective_or_prescribed(data):
    """A variable that must not become a value cannot, as the encodings have all values as parts."""
    schema = data.draw(schemas().filter(lambda schema: schema.attrtypes))
    x, y = data.draw(instances(schema, 2)), data.draw(instances(schema, 3))
    kind = data.draw(st.sampled_from(list(schema.attrtypes)))
    prescribed = {kind: {0: Var(0)} if x.nvars(kind) and y.nvars(kind) else {}}
    for injective in ((), (kind,)):
        wanted = images(homomorphisms(x, y, monic=injective, initial=prescribed))
        assert found_by_encodings(x, y, injective=injective, prescribed=prescribed) == wanted
