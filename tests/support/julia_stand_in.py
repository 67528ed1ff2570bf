"""A stand-in for the Julia module, so that the Python half of the Catlab engine runs where there is no Julia.

It answers the calls as the functions of `julia/` describe them, from the embedded engine, and takes only what juliacall
would hand over: texts, numbers, one-dimensional arrays and its own objects. What Catlab itself does is not tested with
it; that is for the tests with the marker `catlab`.
"""

from __future__ import annotations

import json
from functools import wraps

import numpy as np
import pytest

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.columns import DEFINED, UNDEFINED, Var, fibres
from sim2real_cat.acsets.maps.colimits import coequalizer, coproduct, pushout
from sim2real_cat.acsets.maps.homomorphisms import homomorphism, homomorphisms
from sim2real_cat.acsets.maps.limits import equalizer, loose_product, product, pullback
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.maps.partitions import classes
from sim2real_cat.acsets.maps.subobjects import SubInstance
from sim2real_cat.acsets.migration.delta import delta
from sim2real_cat.acsets.migration.functor import SchemaFunctor
from sim2real_cat.acsets.migration.sigma import sigma
from sim2real_cat.acsets.query.engine import query
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.transfer.laws import ALL
from sim2real_cat.transfer.schema import SchSim2RealTransfer, SchTransferStudy

TYPES = {"float": float, "int": int, "str": str, "bool": bool}


class Handle:
    """An object in Julia: only the stand-in looks inside."""

    def __init__(self, instance):
        self.instance = instance

    def __reduce_ex__(self, protocol):
        raise TypeError("an object in Julia cannot be pickled")


def read(text):
    """JSON as JSON3 reads it: without NaN and infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def crossing(function):
    """Refuse arguments that juliacall would not take as they are; hand over and return what it would."""

    @wraps(function)
    def call(self, *arguments):
        taken = [self.take(argument) for argument in arguments]
        try:
            return self.give(function(self, *taken))
        except (AssertionError, TypeError):
            raise
        except Exception as error:
            raise julia.JuliaError(f"{type(error).__name__}: {error}\nStacktrace:\n [1] stand-in") from error

    return call


class StandIn:
    """The worker of `julia.py`, without a process."""

    alive = True

    def __init__(self):
        self.versions = {"Catlab": "0.0.0", "Julia": "0.0.0"}

    def answer(self, function, arguments, seconds):
        return getattr(self, function)(*arguments)

    def holds(self, handle):
        return isinstance(handle, Handle)

    def close(self):
        pass

    def take(self, argument):
        if isinstance(argument, Handle):
            return argument.instance
        if isinstance(argument, np.ndarray):
            assert argument.ndim == 1
            assert argument.dtype in (np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_)), argument.dtype
            return argument.copy()
        assert argument is None or type(argument) in (str, int, float, bool), type(argument)
        if isinstance(argument, str):
            argument.encode()
        return argument

    def give(self, result):
        if isinstance(result, ACSet):
            return Handle(result)
        if isinstance(result, tuple):
            return tuple(map(self.give, result))
        return result

    # engine.jl

    @crossing
    def empty_instance(self, schema_json, types_json, compiled=False):
        types = {name: TYPES[kind] for name, kind in read(types_json).items()}
        x = ACSet(Schema.from_json(schema_json, types))
        x.compiled = compiled
        return x

    @crossing
    def add_sizes(self, x, sizes_json):
        for name, n in read(sizes_json).items():
            if name in x.schema.obs:
                x.add_parts(name, n)
            else:
                x.add_vars(name, n)

    @crossing
    def size_of(self, x, name):
        return x.nparts(name) if name in x.schema.obs else x.nvars(name)

    @crossing
    def set_hom(self, x, f, targets):
        ob = x.schema.homs[f][0]
        x.set(ob, x.parts(ob), **{f: targets - 1})

    @crossing
    def set_attr(self, x, attribute, values, holds):
        ob, kind = x.schema.attrs[attribute]
        x.set(ob, x.parts(ob), **{attribute: slots(values, holds, x.schema.attrtypes[kind])})

    @crossing
    def follow_homs(self, x, path_json, ids):
        ids = ids - 1
        for f in read(path_json):
            ids = np.append(x.column_ids(f), -1)[ids]
        return ids + 1

    @crossing
    def attr_values(self, x, attribute, ids):
        ob, kind = x.schema.attrs[attribute]
        column = [x.subpart(attribute, part) for part in x.parts(ob).tolist()] + [None]
        found = [column[i - 1] for i in ids.tolist()]
        holds = np.array([0 if v is None else v.k + 1 if isinstance(v, Var) else -1 for v in found], np.int64)
        python_type = x.schema.attrtypes[kind]
        fill = {float: np.nan, int: 0, str: "", bool: False}[python_type]
        values = [value if hold == -1 else fill for value, hold in zip(found, holds.tolist(), strict=True)]
        return (json.dumps(values) if python_type is str else np.array(values, python_type)), holds

    @crossing
    def preimages_of_parts(self, x, path_json, ids):
        return flat(x.incident((ids - 1).tolist(), read(path_json)))

    @crossing
    def preimages_of_values(self, x, path_json, values, holds):
        path = read(path_json)
        kind = x.schema.attrs[path[-1]][1]
        return flat(x.incident(slots(values, holds, x.schema.attrtypes[kind]), path))

    @crossing
    def remove_parts(self, x, ob, ids):
        assert (np.diff(ids) > 0).all(), "Catlab needs sorted ids"
        x.remove(ob, ids - 1)

    @crossing
    def remove_cascading(self, x, ob, ids, objects_json):
        assert (np.diff(ids) > 0).all(), "sorted, as for a removal of its own"
        maps = x.remove(ob, ids - 1, cascade=True)
        kept = {name: np.argsort(new, kind="stable")[np.count_nonzero(new < 0) :] + 1 for name, new in maps.items()}
        return tuple(kept[name] for name in read(objects_json))

    @crossing
    def union_of(self, x, y):
        return x.disjoint_union(y).instance

    # instances.jl, laws.jl

    @crossing
    def json_text(self, x):
        tables = {name: [dict(reversed(row.items())) for row in rows] for name, rows in json.loads(x.to_json()).items()}
        return json.dumps(dict(reversed(tables.items())), ensure_ascii=False)

    @crossing
    def law_rows(self, x, law, epsilon):
        found = next(known for known in ALL if known.name == law).witnesses(x, epsilon)
        return json.dumps([[witness.verdict, witness.ob, witness.id + 1] for witness in found])

    # sets.jl

    @crossing
    def pullback_of_sets(self, f, g, n):
        assert min(len(f), len(g), f.min(), g.min()) >= 1
        assert max(f.max(), g.max()) <= n
        j, i = fibres(f, n + 1).of(g)
        return i + 1, j + 1

    @crossing
    def equalizer_of_sets(self, f, g, n):
        assert min(len(f), f.min(), g.min()) >= 1
        assert max(f.max(), g.max()) <= n
        return np.flatnonzero(f == g) + 1

    # morphisms.jl

    @crossing
    def coproduct_of(self, x, y, objects_json):
        require_plain(x, y)
        return flat_cocone(coproduct(x, y), objects_json)

    @crossing
    def pushout_of(self, x, y, z, objects_json, f_images, g_images):
        f, g = arrow_from(z, x, objects_json, f_images), arrow_from(z, y, objects_json, g_images)
        return flat_cocone(pushout(f, g), objects_json)

    @crossing
    def coequalizer_of(self, x, y, objects_json, f_images, g_images):
        f, g = arrow_from(x, y, objects_json, f_images), arrow_from(x, y, objects_json, g_images)
        found = coequalizer(f, g)
        for ob, ids in f.components.items():  # Catlab identifies what the two maps send to one part, and nothing else
            assert found.apex.nparts(ob) == len(set(classes(y.nparts(ob), ids, g.components[ob]).tolist()))
        return flat_cocone(found, objects_json)

    @crossing
    def find_homomorphisms(self, x, y, objects_json, options_json, one):
        require_searchable(x, y)
        options = search_options(x, options_json)
        first = homomorphism(x, y, **options) if one else None
        found = ([] if first is None else [first]) if one else list(homomorphisms(x, y, **options))
        components = [
            np.concatenate([np.zeros(0, np.int64), *(f.components[ob] + 1 for f in found)]) for ob in read(objects_json)
        ]
        return len(found), tuple(components)

    @crossing
    def count_all_homomorphisms(self, x, y, options_json):
        require_searchable(x, y)
        return len(list(homomorphisms(x, y, **search_options(x, options_json))))

    # limits.jl

    @crossing
    def product_of(self, x, y, objects_json):
        require_plain(x, y)
        return flat_cone(product(x, y), objects_json)

    @crossing
    def pullback_of(self, x, y, z, objects_json, f_images, g_images):
        f, g = arrow_from(x, z, objects_json, f_images), arrow_from(y, z, objects_json, g_images)
        return flat_cone(pullback(f, g), objects_json)

    @crossing
    def equalizer_of(self, x, y, objects_json, f_images, g_images):
        f, g = arrow_from(x, y, objects_json, f_images), arrow_from(x, y, objects_json, g_images)
        return flat_cone(equalizer(f, g), objects_json)

    @crossing
    def loose_product_of(self, x, y, objects_json, attributes_json):
        require_total(x)
        require_total(y)
        if not any(arrows(x.schema) == arrows(schema) for schema in (SchSim2RealTransfer, SchTransferStudy)):
            return None
        found, *sides = loose_product(x, y)
        backwards = {ob: found.parts(ob)[::-1] for ob in found.schema.obs}
        legs = (flat_images({ob: side[ob][backwards[ob]] for ob in found.schema.obs}, objects_json) for side in sides)
        apex = found.restrict(backwards).instance
        values = tuple(
            tuple(np.array([pair[side] for pair in apex.cells(a).data], np.int64) for side in (0, 1))
            for a in read(attributes_json)
        )
        return apex, *legs, values

    # subobjects.jl

    @crossing
    def subobject_algebra(self, x, operation, objects_json, left_json, right_json):
        require_compiled(x)
        assert not x.schema.attrs
        left, right = (
            SubInstance(x, {ob: np.array(ids, np.int64) - 1 for ob, ids in read(text).items()})
            for text in (left_json, right_json)
        )
        found = {
            "top": lambda: SubInstance.top(x),
            "bottom": lambda: SubInstance.bottom(x),
            "meet": lambda: left.meet(right),
            "join": lambda: left.join(right),
            "implies": lambda: left.implies(right),
            "subtract": lambda: left.subtract(right),
            "non": left.non,
        }[operation]()
        return tuple(found.parts[ob] + 1 for ob in read(objects_json))

    # queries.jl

    @crossing
    def answer_query(self, x, atoms_json, out_json, parameters_json):
        for _, arguments in read(atoms_json):
            variables = [variable for _, variable in arguments]
            assert len(set(variables)) == len(variables), "Catlab fails on a variable that stands twice in an atom"
        body = ", ".join(
            f"{ob}({', '.join(f'{argument}={variable}' for argument, variable in arguments)})"
            for ob, arguments in read(atoms_json)
        )
        given = {name: value - 1 if kind == "id" else value for name, kind, value in read(parameters_json)}
        table = query(x, body, read(out_json), params=given, engine="numpy")
        return tuple(table[name] + 1 for name in read(out_json))

    # migration.jl

    @crossing
    def pull_back(self, x, target, objects_json, arrows_json):
        require_compiled(x, target)
        found = delta(functor(target.schema, x.schema, objects_json, arrows_json), x)
        assert all(target.nvars(kind) == found.nvars(kind) for kind in target.schema.attrtypes)
        assert all(target.nparts(ob) == 0 for ob in target.schema.obs)
        return found

    @crossing
    def push_forward(self, x, target, domain_json, codomain_json, objects_json, arrows_json):
        require_compiled(x, target)
        assert (x.schema.to_json(), target.schema.to_json()) == (domain_json, codomain_json)
        return sigma(functor(x.schema, target.schema, objects_json, arrows_json), x)


def functor(domain, codomain, objects_json, arrows_json):
    """The functor that is given by the names of images."""
    images, paths = read(objects_json), {name: tuple(path) for name, path in read(arrows_json).items()}
    sides = [
        {name: table[name] for name in names}
        for table, names in (
            (images, domain.obs),
            (paths, domain.homs),
            (images, domain.attrtypes),
            (paths, domain.attrs),
        )
    ]
    return SchemaFunctor(domain, codomain, *sides)


def arrows(schema):
    """What a schema in Julia is compared by."""
    return set(schema.obs), set(schema.attrtypes), dict(schema.homs), dict(schema.attrs)


def require_compiled(*instances):
    """Refuse instances that do not have their schemas in their types, and what an encoding must not hold."""
    for x in instances:
        assert x.compiled, "a DynamicACSet"
        require_total(x)


def require_total(x):
    """Refuse what an encoding must not hold: undefined arrows, and attributes that are no integers."""
    assert all((x.column_ids(f) >= 0).all() for f in x.schema.homs), "an undefined hom"
    assert all((x.cells(a).status != UNDEFINED).all() for a in x.schema.attrs), "an undefined attribute"
    assert all(python_type is int for python_type in x.schema.attrtypes.values()), "values that are no codes"


def require_searchable(*instances):
    """Refuse what an encoding for a search must not hold."""
    for x in instances:
        require_total(x)
        assert not x.schema.attrtypes, "attributes"


def slots(values, holds, python_type):
    """Values of an attribute as a list with None and variables."""
    values = read(values) if isinstance(values, str) else values.tolist()
    assert all(type(value) is python_type for value in values)
    found = zip(values, holds.tolist(), strict=True)
    return [value if hold == -1 else None if hold == 0 else Var(hold - 1) for value, hold in found]


def flat(preimages):
    ids = np.concatenate([np.zeros(0, np.int64), *preimages]) + 1
    return ids, np.cumsum([len(preimage) for preimage in preimages])


def search_options(x, options_json):
    options = read(options_json)
    initial = {ob: {x - 1: y - 1 for x, y in images} for ob, images in options["initial"].items()}
    return {"monic": options["monic"], "iso": options["iso"], "initial": initial}


def flat_cone(universal, objects_json):
    """A limit, its parts in the opposite order, as Catlab promises none."""
    apex = universal.apex
    backwards = {ob: apex.parts(ob)[::-1] for ob in apex.schema.obs}
    turned = [{ob: leg.components[ob][ids] for ob, ids in backwards.items()} for leg in universal.legs]
    return apex.restrict(backwards).instance, *(flat_images(leg, objects_json) for leg in turned)


def require_plain(*instances):
    """Refuse what an encoding for a limit or a colimit must not hold."""
    require_compiled(*instances)
    for x in instances:
        assert not x.schema.attrtypes, "attributes"


def arrow_from(dom, codom, objects_json, images):
    """A natural transformation by the images of all parts."""
    obs = read(objects_json)
    require_plain(dom, codom)
    assert (tuple(obs), len(images)) == (dom.schema.obs, sum(map(dom.nparts, obs)))
    pieces = np.split(images - 1, np.cumsum([dom.nparts(ob) for ob in obs]))
    f = Morphism(dom, codom, dict(zip(obs, pieces, strict=False)))
    assert f.is_natural
    return f


def flat_cocone(universal, objects_json):
    universal.apex.compiled = True
    return universal.apex, *(flat_images(leg.components, objects_json) for leg in universal.legs)


def flat_images(components, objects_json):
    """The images of all parts, one object after the other, as Julia counts them."""
    return np.concatenate([np.zeros(0, np.int64), *(components[ob] + 1 for ob in read(objects_json))])


def standing_in():
    """The worker where the stand-in is Julia."""
    return StandIn()


assert DEFINED == -2, "slots() and attr_values() count what a slot holds from this"
