"""Checks of the morphisms that limits and colimits are given."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.acsets.maps.morphism import Morphism, require_natural
from sim2real_cat.errors import InstanceError

Cone = tuple[ACSet, tuple[Morphism, ...]]
"""The apex and the legs of a limit or colimit."""


def require_parallel(what: Literal["an equalizer", "a coequalizer"], f: Morphism, g: Morphism) -> None:
    """Refuse two morphisms that are not natural or not parallel."""
    require_natural(f, g)
    if f.dom != g.dom or f.codom != g.codom:
        raise InstanceError(f"{what} needs two parallel morphisms: {f!r} and {g!r} have different ends")


def require_legs(
    what: Literal["cone", "cocone"],
    given: tuple[Morphism, ...],
    legs: tuple[Morphism, ...],
    tips: list[ACSet],
    feet: list[ACSet],
) -> None:
    """Refuse morphisms that are not a cone or cocone over the diagram of a limit or colimit.

    Args:
        what: what they should be.
        given: the morphisms.
        legs: the legs of the limit or colimit.
        tips: the ends of the given morphisms that must be one instance.
        feet: the ends that must be the instances of the diagram.
    """
    require_natural(*given)
    if len(given) != len(legs):
        raise InstanceError(f"a {what} has {len(legs)} legs here, not {len(given)}")
    for tip in tips[1:]:
        if tip is not tips[0] and tip != tips[0]:
            raise InstanceError(f"the legs of a {what} share one end: {tips[0]!r} and {tip!r} differ")
    for number, (foot, leg) in enumerate(zip(feet, legs, strict=True)):
        expected = leg.codom if what == "cone" else leg.dom
        if foot is not expected and foot != expected:
            raise InstanceError(f"leg {number} of the {what} must be at {expected!r}, not at {foot!r}")


def image_key(image: Any) -> Any:
    """Return a value or variable as a dictionary key: one object for every NaN, which a dictionary takes for equal."""
    return np.nan if image != image else image
