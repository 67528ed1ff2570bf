"""Morphisms of instances: natural transformations between functors to sets.

A morphism α: X -> Y has a component for each object, the function ``α_ob: X(ob) -> Y(ob)``, and for each attribute
type an image of every attribute variable, a value or a variable; values stay what they are. It is natural when
``f(α(p)) = α(f(p))`` for every hom or attribute f and every part p at which X defines f. Where X leaves f undefined,
Y may define it or not. These are the homomorphisms of partial algebras; where all homs are total they are Catlab's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.coercion import MisfitError, allowed_ids, as_cells, as_ids, brief
from sim2real_cat.acsets.columns import Ids, Var
from sim2real_cat.acsets.engines import EngineName
from sim2real_cat.acsets.maps.isomorphism import Prescribed
from sim2real_cat.acsets.maps.values import Variables, codes
from sim2real_cat.acsets.parts import closure
from sim2real_cat.errors import InstanceError, SchemaError, unknown_name


@dataclass(frozen=True)
class NaturalityFailure:
    """A part at which the square of an arrow does not commute.

    Attributes:
        arrow: the hom or attribute f.
        part: the part p of the domain.
        dom_side: α(f(p)), through the domain: an id, a value or a ``Var``.
        codom_side: f(α(p)), through the codomain; None where undefined.
    """

    arrow: str
    part: int
    dom_side: Any
    codom_side: Any

    def __str__(self) -> str:
        return f"'{self.arrow}' at part {self.part}: {brief(self.dom_side)} becomes {brief(self.codom_side)}"


@dataclass(frozen=True, eq=False, repr=False)
class Morphism:
    """A map between instances of one schema, by its components. It need not be natural: ask :attr:`is_natural`.

    The instances are referred to, not copied, and must not change while the morphism is in use.

    >>> from sim2real_cat.acsets.schema import Schema
    >>> graph = Schema("Graph", obs=["V", "E"], homs={"src": ("E", "V"), "tgt": ("E", "V")})
    >>> edge, loop = ACSet(graph), ACSet(graph)
    >>> edge.add_parts("V", 2), edge.add("E", src=0, tgt=1), loop.add("V"), loop.add("E", src=0, tgt=0)
    (array([0, 1]), 0, 0, 0)
    >>> fold = Morphism(edge, loop, {"V": [0, 0], "E": [0]})
    >>> fold.is_natural, fold.is_monic, fold.is_epic
    (True, False, True)

    Args:
        dom: X.
        codom: Y, of the same schema.
        components: for each object the images of X's parts, shape (n,); may be left out for an object
            without parts.
        variables: for each attribute type the images of X's variables, each a value or a ``Var`` of Y;
            may be left out for a type without variables.

    Raises:
        SchemaError: for instances of different schemas, or a name that is neither an object nor an attribute type.
        InstanceError: for a missing component, one of a wrong length, or an image that does not exist.
    """

    dom: ACSet
    codom: ACSet
    components: Mapping[str, Ids]
    variables: Variables = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_one_schema(self.dom, self.codom)
        schema = self.dom.schema
        for name in self.components:
            if name not in schema.obs:
                raise SchemaError(f"a morphism has a component for an {unknown_name('object', str(name), schema.obs)}")
        for name in self.variables:
            if name not in schema.attrtypes:
                valid = schema.attrtypes
                raise SchemaError(f"a morphism has images for an {unknown_name('attribute type', str(name), valid)}")
        components = {ob: _component(self, ob) for ob in schema.obs}
        variables = {attrtype: _images(self, attrtype) for attrtype in schema.attrtypes}
        object.__setattr__(self, "components", MappingProxyType(components))
        object.__setattr__(self, "variables", MappingProxyType(variables))

    @staticmethod
    def unchecked(dom: ACSet, codom: ACSet, components: Mapping[str, Ids], variables: Variables) -> Morphism:
        """Make a morphism of complete components and images that are known to fit, without checking them."""
        morphism = object.__new__(Morphism)
        fields = {"dom": dom, "codom": codom, "components": components, "variables": variables}
        for name, value in fields.items():
            object.__setattr__(morphism, name, value)
        return morphism

    @staticmethod
    def identity(instance: ACSet) -> Morphism:
        """Return the identity of an instance."""
        return Morphism(
            instance,
            instance,
            {ob: instance.parts(ob) for ob in instance.schema.obs},
            {
                attrtype: tuple(Var(k) for k in range(instance.nvars(attrtype)))
                for attrtype in instance.schema.attrtypes
            },
        )

    def then(self, other: Morphism) -> Morphism:
        """Compose in diagrammatic order: first this morphism, then the other.

        Raises:
            InstanceError: where the other does not start where this one ends.
        """
        if self.codom is not other.dom and self.codom != other.dom:
            raise InstanceError(f"morphisms do not compose: one ends in {self.codom!r}, the other starts elsewhere")
        components = {ob: other.components[ob][ids] for ob, ids in self.components.items()}
        variables = {
            attrtype: tuple(other.variables[attrtype][image.k] if isinstance(image, Var) else image for image in images)
            for attrtype, images in self.variables.items()
        }
        return Morphism(self.dom, other.codom, components, variables)

    def inverse(self) -> Morphism:
        """Return the two-sided inverse.

        Raises:
            InstanceError: where this is not an isomorphism.
        """
        if not self.is_iso:
            raise InstanceError(f"{self!r} has no inverse: it is not an isomorphism")
        return self._converse()

    def naturality(self) -> list[NaturalityFailure]:
        """List every arrow and part at which the naturality square does not commute, in schema order."""
        failures = []
        for name, (dom, codom) in self.dom.schema.homs.items():
            targets, images = self.dom.column_ids(name), self.components[codom]
            ids = np.flatnonzero(targets >= 0)
            through_dom = images[targets[ids]]
            through_codom = self.codom.column_ids(name)[self.components[dom][ids]]
            for position in np.flatnonzero(through_dom != through_codom).tolist():
                sides = int(through_dom[position]), int(through_codom[position])
                failures.append(
                    NaturalityFailure(name, int(ids[position]), sides[0], sides[1] if sides[1] >= 0 else None)
                )
        return failures + self._attribute_failures()

    def _attribute_failures(self) -> list[NaturalityFailure]:
        if not self.dom.schema.attrs:
            return []
        failures = []
        coded = codes(self.dom, self.codom, also=self.variables)
        for name, (ob, attrtype) in self.dom.schema.attrs.items():
            known = len(coded.values[attrtype])
            images = np.concatenate([np.arange(known), coded.also[attrtype]])
            own = coded.columns[0][name]
            ids = np.flatnonzero(own >= 0)
            through_dom = images[own[ids]]
            through_codom = coded.columns[1][name][self.components[ob][ids]]
            for position in np.flatnonzero(through_dom != through_codom).tolist():
                found = int(through_codom[position])
                sides = coded.image(attrtype, int(through_dom[position])), found
                value = coded.image(attrtype, found) if found >= 0 else None
                failures.append(NaturalityFailure(name, int(ids[position]), sides[0], value))
        return failures

    @property
    def is_natural(self) -> bool:
        """Return whether all naturality squares commute."""
        return not self.naturality()

    @property
    def is_monic(self) -> bool:
        """Return whether this is a monomorphism: injective on parts, and on values and variables together.

        A variable that is sent to a value collides with that value, which is sent to itself.
        """
        return all(len(np.unique(ids)) == len(ids) for ids in self.components.values()) and all(
            all(isinstance(image, Var) for image in images) and len(set(images)) == len(images)
            for images in self.variables.values()
        )

    @property
    def is_epic(self) -> bool:
        """Return whether this is an epimorphism.

        Natural transformations out of the codomain that agree after this one must be equal. They agree on the image,
        and so on everything to which the codomain's arrows lead from there. The morphism is epic where that is the
        whole codomain; where the domain's homs are total, this is surjectivity.
        """
        masks = closure(self.codom, self.components)
        if not all(mask.all() for mask in masks.values()):
            return False
        return all(
            set(unheld_variables(self.codom, attrtype)) <= {image.k for image in images if isinstance(image, Var)}
            for attrtype, images in self.variables.items()
        )

    @property
    def is_iso(self) -> bool:
        """Return whether this is an isomorphism: natural, bijective on parts and variables, and with a natural inverse.

        The last does not follow from the others, because the codomain may define what the domain leaves undefined.
        """
        same_size = all(self.codom.nparts(ob) == len(ids) for ob, ids in self.components.items())
        same_size &= all(self.codom.nvars(attrtype) == len(images) for attrtype, images in self.variables.items())
        return same_size and self.is_monic and self.is_natural and self._converse().is_natural

    def _converse(self) -> Morphism:
        """Return the inverse map of a bijection, natural or not."""
        return Morphism(
            self.codom,
            self.dom,
            {ob: np.argsort(ids) for ob, ids in self.components.items()},
            {
                attrtype: tuple(Var(k) for k in sorted(range(len(images)), key=lambda k: images[k].k))
                for attrtype, images in self.variables.items()
            },
        )

    def __eq__(self, other: object) -> bool:
        """Return whether domain, codomain and all images are equal; NaN equals NaN."""
        if not isinstance(other, Morphism):
            return NotImplemented
        return (
            self.dom == other.dom
            and self.codom == other.codom
            and all(np.array_equal(ids, other.components[ob]) for ob, ids in self.components.items())
            and all(
                all(one == two or (one != one and two != two) for one, two in zip(images, others, strict=True))
                for images, others in ((images, other.variables[t]) for t, images in self.variables.items())
            )
        )

    def __repr__(self) -> str:
        return f"<Morphism {self.dom!r} -> {self.codom!r}>"


class Question(NamedTuple):
    """A checked question for morphisms X -> Y.

    Attributes:
        X: the domain.
        Y: the codomain.
        injective: the objects and attribute types on which the morphisms must be injective.
        bijective: those on which they must be bijective; ``injective`` has them, too.
        invertible: whether only isomorphisms count, whose inverse is natural, too.
        prescribed: the prescribed images, which exist. Unless only isomorphisms count, every variable of X that no part
            holds has one.
        engine: the engine that searches.
    """

    X: ACSet
    Y: ACSet
    injective: frozenset[str]
    bijective: frozenset[str]
    invertible: bool
    prescribed: Prescribed
    engine: EngineName


def require_one_schema(*instances: ACSet) -> None:
    """Refuse instances of different schemas."""
    for other in instances[1:]:
        if other.schema != instances[0].schema:
            raise SchemaError(
                f"morphisms are between instances of one schema: these are of "
                f"{instances[0].schema.name} and {other.schema.name}, which differ"
            )


def require_natural(*morphisms: Morphism) -> None:
    """Refuse a morphism that is not natural."""
    for f in morphisms:
        failures = f.naturality()
        if failures:
            raise InstanceError(f"{f!r} is not natural: {failures[0]} ({len(failures)} failures, see .naturality())")


def unheld_variables(instance: ACSet, attrtype: str) -> list[int]:
    """Return the numbers of the attribute variables that no part holds, sorted."""
    held = [instance.variables(f) for f in instance.schema.attrs_into(attrtype)]
    unheld: list[int] = np.setdiff1d(
        np.arange(instance.nvars(attrtype)), np.concatenate([np.zeros(0, np.int64), *held])
    ).tolist()
    return unheld


def _component(f: Morphism, ob: str) -> Ids:
    """The component of an object, checked, as a read-only array."""
    size = f.codom.nparts(ob)
    try:
        ids = as_ids(f.components.get(ob, ()), size)
    except MisfitError as misfit:
        place = "" if misfit.position is None else f" part {misfit.position}"
        raise InstanceError(
            f"component '{ob}'{place}: {misfit} (in the codomain {allowed_ids(ob, size)}; components are total)"
        ) from None
    if len(ids) != f.dom.nparts(ob):
        raise InstanceError(f"component '{ob}' has {len(ids)} images for the {f.dom.nparts(ob)} parts of the domain")
    ids.flags.writeable = False
    return ids


def _images(f: Morphism, attrtype: str) -> tuple[Any, ...]:
    """The images of the variables of an attribute type, checked."""
    images, nvars, size = tuple(f.variables.get(attrtype, ())), f.dom.nvars(attrtype), f.codom.nvars(attrtype)
    if len(images) != nvars:
        raise InstanceError(f"variables of '{attrtype}': {len(images)} images for the {nvars} of the domain")
    for k, image in enumerate(images):
        if image is None or (isinstance(image, Var) and not 0 <= image.k < size):
            problem = "is no image" if image is None else f"does not exist: the codomain has {size} variables"
            text = "None" if image is None else f"Var({image.k})"
            raise InstanceError(f"variables of '{attrtype}': Var({k}) goes to {text}, which {problem}")
    try:
        found = as_cells(list(images), f.dom.schema.attrtypes[attrtype])
    except MisfitError as misfit:
        raise InstanceError(f"variables of '{attrtype}': Var({misfit.position}) goes to {misfit}") from None
    values = found.data.tolist()
    return tuple(image if isinstance(image, Var) else value for image, value in zip(images, values, strict=True))
