"""Sub-instances, the sets of parts that are closed under homs, and the algebra that they form.

The sub-instances of an instance are ordered by inclusion. Unions and intersections are closed under homs again, so
they are joins and meets. Complements are not: there is a largest sub-instance in a complement and a smallest one around
it, so the sub-instances are a bi-Heyting algebra (Reyes, Reyes and Zolfaghari, Generic figures and their glueings,
2004, section 9.1). An undefined hom puts no condition. Where the instance lives in Catlab, Catlab computes the algebra.
A morphism f: X -> Y pulls sub-instances of Y back to X
and pushes those of X forward to Y, and ``image(f, S) <= T`` exactly when ``S <= preimage(f, T)``.
Attribute values and variables are not parts: a sub-instance keeps all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.catlab import pointed
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_ids
from sim2real_cat.acsets.columns import Ids, Var
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.acsets.parts import Masks, closure, pointing_at
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name


@dataclass(frozen=True, eq=False, repr=False)
class SubInstance:
    """A sub-instance of an instance, given by its parts. Sub-instances are ordered by inclusion (``<=``).

    >>> from sim2real_cat.acsets.schema import Schema
    >>> graph = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
    >>> x = ACSet(graph)
    >>> x.add_parts("V", 3), x.add_parts("E", 2, src=[0, 1], tgt=[1, 2])
    (array([0, 1, 2]), array([0, 1]))
    >>> first, second = SubInstance.generated(x, {"E": [0]}), SubInstance.generated(x, {"E": [1]})
    >>> first
    <SubInstance {V: [0, 1], E: [0]}>
    >>> first.meet(second)
    <SubInstance {V: [1], E: []}>

    Args:
        instance: the whole instance; referred to, not copied.
        parts: for each object the ids of its parts, in any order; none for an object left out.

    Raises:
        SchemaError: for an unknown object.
        InstanceError: for an id that does not exist, or a hom that leads out of the parts, naming both.
    """

    instance: ACSet
    parts: Mapping[str, Ids]

    def __post_init__(self) -> None:
        checked = _checked(self.instance, self.parts)
        masks = {ob: np.isin(self.instance.parts(ob), ids) for ob, ids in checked.items()}
        for name, (dom, codom) in self.instance.schema.homs.items():
            targets = self.instance.column_ids(name)[checked[dom]]
            defined = np.flatnonzero(targets >= 0)
            outside = defined[~masks[codom][targets[defined]]]
            if len(outside):
                part, target = int(checked[dom][outside[0]]), int(targets[outside[0]])
                raise InstanceError(
                    f"not a sub-instance: '{name}' leads from {dom} {part} to {codom} {target}, which is not in it: "
                    "SubInstance.generated adds what is missing"
                )
        object.__setattr__(self, "parts", MappingProxyType(checked))

    @staticmethod
    def generated(instance: ACSet, parts: Mapping[str, ArrayLike]) -> SubInstance:
        """Return the smallest sub-instance with the given parts: their closure under homs.

        Raises:
            SchemaError: for an unknown object.
            InstanceError: for an id that does not exist.
        """
        return _from_masks(instance, closure(instance, _checked(instance, parts)))

    @staticmethod
    def top(instance: ACSet) -> SubInstance:
        """Return the sub-instance with all parts."""
        if instance.engine == "catlab":
            return SubInstance(instance, pointed.algebra("top", instance))
        return SubInstance(instance, {ob: instance.parts(ob) for ob in instance.schema.obs})

    @staticmethod
    def bottom(instance: ACSet) -> SubInstance:
        """Return the sub-instance without parts."""
        return SubInstance(instance, pointed.algebra("bottom", instance) if instance.engine == "catlab" else {})

    def meet(self, other: SubInstance) -> SubInstance:
        """Return the intersection, the largest sub-instance that is in both.

        Raises:
            InstanceError: for sub-instances of different instances.
        """
        return self._combined("meet", other)

    def join(self, other: SubInstance) -> SubInstance:
        """Return the union, the smallest sub-instance that holds both.

        Raises:
            InstanceError: for sub-instances of different instances.
        """
        return self._combined("join", other)

    def implies(self, other: SubInstance) -> SubInstance:
        """Return the largest sub-instance whose meet with this one is in the other.

        It has the parts from which no path leads into this one but not into the other.

        Raises:
            InstanceError: for sub-instances of different instances.
        """
        return self._combined("implies", other)

    def negate(self) -> SubInstance:
        """Return the largest sub-instance that shares no part with this one: the parts that do not lead into it."""
        return self._combined("negate")

    def subtract(self, other: SubInstance) -> SubInstance:
        """Return the smallest sub-instance whose join with the other holds this one.

        It has the parts of this one that are not in the other, and all to which these lead.

        Raises:
            InstanceError: for sub-instances of different instances.
        """
        return self._combined("subtract", other)

    def non(self) -> SubInstance:
        """Return the smallest sub-instance that together with this one has all parts.

        It has the parts that are not in this one, and all to which these lead. What it shares with this one is the
        boundary of this one.
        """
        return self._combined("non")

    def to_instance(self) -> tuple[ACSet, Morphism]:
        """Return a new instance with the parts of the sub-instance, in their old order, and its inclusion."""
        whole = self.instance
        small = whole.restrict(dict(self.parts)).instance
        kinds = whole.schema.attrtypes
        variables = {attrtype: tuple(Var(k) for k in range(whole.nvars(attrtype))) for attrtype in kinds}
        return small, Morphism(small, whole, self.parts, variables)

    def _combined(self, operation: pointed.Operation, other: SubInstance | None = None) -> SubInstance:
        """Apply an operation of the algebra; one without a second operand takes the empty sub-instance for it."""
        if other is not None:
            _require_one_instance(self, other)
        right: Mapping[str, Ids] = {} if other is None else other.parts
        if self.instance.engine == "catlab":
            return SubInstance(self.instance, pointed.algebra(operation, self.instance, self.parts, right))
        masks = _masks(self.instance, self.parts), _masks(self.instance, right)
        return _from_masks(self.instance, _OPERATIONS[operation](self.instance, *masks))

    def __le__(self, other: SubInstance) -> bool:
        """Return whether every part is also one of the other's."""
        _require_one_instance(self, other)
        return all(bool(np.isin(ids, other.parts[ob]).all()) for ob, ids in self.parts.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SubInstance):
            return NotImplemented
        return self.instance == other.instance and all(
            np.array_equal(ids, other.parts[ob]) for ob, ids in self.parts.items()
        )

    def __repr__(self) -> str:
        return f"<SubInstance {{{', '.join(f'{ob}: {ids.tolist()}' for ob, ids in self.parts.items())}}}>"


def image(f: Morphism, sub: SubInstance | None = None) -> SubInstance:
    """Return the image of a sub-instance: the smallest sub-instance of the codomain into which f sends it.

    It is the closure of the set of images, which is larger where homs of the domain are undefined.

    Args:
        f: a natural transformation.
        sub: a sub-instance of its domain; all of it by default.

    Raises:
        InstanceError: for a sub-instance of something else.
    """
    if sub is not None:
        _require_instance(sub, f.dom, "domain")
    reached = {ob: ids if sub is None else ids[sub.parts[ob]] for ob, ids in f.components.items()}
    return _from_masks(f.codom, closure(f.codom, reached))


def preimage(f: Morphism, sub: SubInstance) -> SubInstance:
    """Return the preimage of a sub-instance: the parts of the domain that f sends into it.

    Args:
        f: a natural transformation.
        sub: a sub-instance of its codomain.

    Raises:
        InstanceError: for a sub-instance of something else, or parts that are not closed under homs.
    """
    _require_instance(sub, f.codom, "codomain")
    return _from_masks(f.dom, {ob: np.isin(ids, sub.parts[ob]) for ob, ids in f.components.items()})


def _meet(instance: ACSet, left: Masks, right: Masks) -> Masks:
    return {ob: left[ob] & right[ob] for ob in left}


def _join(instance: ACSet, left: Masks, right: Masks) -> Masks:
    return {ob: left[ob] | right[ob] for ob in left}


def _implies(instance: ACSet, left: Masks, right: Masks) -> Masks:
    broken = pointing_at(instance, {ob: np.flatnonzero(left[ob] & ~right[ob]) for ob in left})
    return {ob: ~mask for ob, mask in _masks(instance, broken).items()}


def _subtract(instance: ACSet, left: Masks, right: Masks) -> Masks:
    return closure(instance, {ob: np.flatnonzero(left[ob] & ~right[ob]) for ob in left})


def _non(instance: ACSet, left: Masks, right: Masks) -> Masks:
    return closure(instance, {ob: np.flatnonzero(~mask) for ob, mask in left.items()})


_OPERATIONS = {
    "meet": _meet,
    "join": _join,
    "implies": _implies,
    "negate": _implies,  # with nothing on the right
    "subtract": _subtract,
    "non": _non,
}


def _masks(instance: ACSet, parts: Mapping[str, Ids]) -> Masks:
    """Return the masks of some parts, ids without a repetition."""
    return {ob: np.isin(instance.parts(ob), parts.get(ob, ())) for ob in instance.schema.obs}


def _from_masks(instance: ACSet, masks: Masks) -> SubInstance:
    return SubInstance(instance, {ob: np.flatnonzero(mask) for ob, mask in masks.items()})


def _checked(instance: ACSet, parts: Mapping[str, ArrayLike]) -> dict[str, Ids]:
    """The sorted, distinct ids of the given parts of every object."""
    for ob in parts:
        if ob not in instance.schema.obs:
            raise SchemaError(f"a sub-instance has parts of an {unknown_name('object', str(ob), instance.schema.obs)}")
    checked = {}
    for ob in instance.schema.obs:
        try:
            ids = as_ids(parts.get(ob, ()), instance.nparts(ob))
            checked[ob] = ids.copy() if (np.diff(ids) > 0).all() else np.unique(ids)
        except MisfitError as misfit:
            allowed = allowed_ids(ob, instance.nparts(ob))
            raise InstanceError(f"a sub-instance's parts of '{ob}': {misfit} ({allowed})") from None
    return checked


def _require_one_instance(one: SubInstance, two: SubInstance) -> None:
    if one.instance is not two.instance and one.instance != two.instance:
        raise InstanceError("sub-instances of different instances cannot be compared or combined")


def _require_instance(sub: SubInstance, instance: ACSet, role: Literal["domain", "codomain"]) -> None:
    if sub.instance is not instance and sub.instance != instance:
        raise InstanceError(f"the sub-instance is one of {sub.instance!r}, not of the morphism's {role}")
