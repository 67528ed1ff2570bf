"""Comparisons of what two engines answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sim2real_cat.acsets.maps.colimits import Colimit
from sim2real_cat.acsets.maps.homomorphisms import is_isomorphic
from sim2real_cat.acsets.maps.limits import Limit
from sim2real_cat.acsets.maps.morphism import Morphism
from sim2real_cat.errors import Sim2RealError


def outcome(action: Callable[[], Any]) -> Any:
    """Return what an action returns, or the class and the text of the error that it raises."""
    try:
        return action()
    except Sim2RealError as error:
        return type(error), str(error)


def images(morphisms: Iterable[Morphism]) -> list[str]:
    """Return morphisms as a sorted list of what they send where."""
    return sorted(repr(({ob: ids.tolist() for ob, ids in f.components.items()}, dict(f.variables))) for f in morphisms)


def same_cone(there: Any, mine: Any) -> None:
    """Assert that two limits, or two colimits, are isomorphic by the isomorphism that goes with their legs.

    Where ours is an error, the other has to be the same one.
    """
    if not isinstance(mine, Limit | Colimit):
        assert there == mine
        return
    assert there.apex.engine == "catlab"
    assert is_isomorphic(there.apex.to_engine("embedded"), mine.apex)
    assert all(leg.is_natural for leg in there.legs)
    for theirs, ours in zip(there.legs, mine.legs, strict=True):
        ends = (theirs.codom, ours.codom) if isinstance(mine, Limit) else (theirs.dom, ours.dom)
        assert ends[0] == ends[1]
    assert there.universal(*mine.legs).is_iso
