"""Instances on their way to Julia and back: whole columns, ids from 1, 0 where a hom is undefined.

Values of an attribute travel beside what each slot holds: -1 a value, 0 nothing, k >= 1 the variable ``Var(k - 1)``;
that is the status of :class:`~sim2real_cat.acsets.columns.Cells`, counted from 1 as well. Texts travel as one JSON
text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.acsets.catlab import julia
from sim2real_cat.acsets.catlab.refusals import refused
from sim2real_cat.acsets.codecs import Codec, type_name
from sim2real_cat.acsets.coercion import brief
from sim2real_cat.acsets.columns import UNDEFINED, Cells, Ids, dtype_of
from sim2real_cat.acsets.schema import Schema
from sim2real_cat.acsets.storage import Storage
from sim2real_cat.errors import InstanceError

S = TypeVar("S", bound=Storage)


def sent_ids(ids: Ids) -> Ids:
    """Return ids, -1 where undefined, as Julia counts them."""
    return np.ascontiguousarray(ids + 1, np.int64)


def received_ids(vector: object) -> Ids:
    """Return Julia's ids as a new array, -1 where undefined."""
    return np.asarray(vector, np.int64) - 1


def sent_components(schema: Schema, components: Mapping[str, Ids]) -> Ids:
    """Return the images of the parts of all objects, one object after the other, for Julia."""
    return sent_ids(np.concatenate([np.zeros(0, np.int64), *(components[ob] for ob in schema.obs)]))


def received_components(instance: Storage, images: object) -> dict[str, Ids]:
    """Return by object the images of an instance's parts, which Julia gives one object after the other."""
    obs = instance.schema.obs
    ends = np.cumsum([instance.nparts(ob) for ob in obs])
    return dict(zip(obs, np.split(received_ids(images), ends), strict=False))  # what follows the last end is empty


def sent_cells(cells: Cells, python_type: type | Codec) -> tuple[object, Ids]:
    """Return values of an attribute and what each slot holds, for Julia.

    Raises:
        InstanceError: for a text that no UTF-8 can hold.
    """
    values = sent_json(cells.data.tolist()) if python_type is str else np.ascontiguousarray(cells.data)
    return values, np.ascontiguousarray(cells.status + 1, np.int64)


def received_cells(answer: tuple[Any, Any], python_type: type | Codec) -> Cells:
    """Return values of an attribute, and what each slot holds, from Julia, in new arrays."""
    values, holds = answer
    if python_type is str:
        texts = json.loads(str(values))
        return Cells(np.fromiter(texts, object, len(texts)), received_ids(holds))
    return Cells(np.array(values, dtype_of(python_type)), received_ids(holds))


def sent_json(structure: object) -> str:
    """Return names, texts and finite numbers in lists and dictionaries as JSON.

    Raises:
        InstanceError: for a text that no UTF-8 can hold.
    """
    text = json.dumps(structure, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        near = brief(text[max(error.start - 8, 0) : error.end + 8])
        raise InstanceError(f"a text has half a character, near {near}, which Julia cannot take: mend it") from None
    return text


def check_types(schema: Schema) -> None:
    """Refuse a schema with attribute types that have no counterpart in Julia.

    Raises:
        EngineError: naming the attribute type.
    """
    for attrtype, python_type in schema.attrtypes.items():
        if isinstance(python_type, Codec):
            raise refused("codec", f"'{attrtype}' is {type_name(python_type)}")


def sent(instance: Storage, schema: Schema | None = None, *, static: bool = False) -> Any:
    """Make an instance in Julia with the content of this one.

    Args:
        instance: the instance.
        schema: a schema with fewer arrows, where not all of them are to go.
        static: whether its type in Julia has the schema, as limits and morphisms need; it is then compiled for it.
    """
    schema = schema or instance.schema
    types = {attrtype: type_name(python_type) for attrtype, python_type in schema.attrtypes.items()}
    handle = julia.call("empty_instance", schema.to_json(), sent_json(types), static)
    sizes = {ob: instance.nparts(ob) for ob in schema.obs} | {t: instance.nvars(t) for t in schema.attrtypes}
    julia.call("add_sizes", handle, sent_json(sizes))
    for name in schema.homs:
        julia.call("set_hom", handle, name, sent_ids(instance.column_ids(name)))
    for name, (_, attrtype) in schema.attrs.items():
        julia.call("set_attr", handle, name, *sent_cells(instance.cells(name), schema.attrtypes[attrtype]))
    return handle


def received(handle: Any, into: S, undefined: Mapping[str, NDArray[np.bool_]] | None = None) -> S:
    """Read an instance in Julia into an empty one of its schema, which is returned.

    Args:
        handle: the instance in Julia.
        into: the empty instance.
        undefined: for attributes the slots that are undefined, whatever they hold in Julia.
    """
    schema = into.schema
    sizes = {name: int(julia.call("size_of", handle, name)) for name in (*schema.obs, *schema.attrtypes)}
    ids = {ob: sent_ids(np.arange(sizes[ob])) for ob in schema.obs}
    homs = {
        name: received_ids(julia.call("follow_homs", handle, sent_json([name]), ids[ob]))
        for name, (ob, _) in schema.homs.items()
    }
    attrs = {
        name: received_cells(julia.call("attr_values", handle, name, ids[ob]), schema.attrtypes[attrtype])
        for name, (ob, attrtype) in schema.attrs.items()
    }
    for name, mask in (undefined or {}).items():
        attrs[name] = Cells(attrs[name].data, np.where(mask, UNDEFINED, attrs[name].status))
    return into.fill(sizes, {attrtype: sizes[attrtype] for attrtype in schema.attrtypes}, homs, attrs)
