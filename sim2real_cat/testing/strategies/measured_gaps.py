"""Strategies of measured gaps: on either side of epsilon, straddling it, not measured, or not valid."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from hypothesis import strategies as st

from sim2real_cat.acsets.columns import Var

GapSide = Literal["under", "over", "open", "unmeasured"]
"""The side of epsilon on which a gap surely is; "open" where that is not certain."""

GapKind = Literal["unmeasured", "variable", "under", "over", "straddling", "unreliable", "invalid"]
"""Kinds of gaps: not measured, a variable, surely on one side of epsilon, straddling it, unreliable, or not valid."""


class DrawnGap(NamedTuple):
    """The gap of one policy with its interval; None, or a variable, where it is undefined."""

    value: float | Var | None = None
    low: float | None = None
    high: float | None = None
    reliable: bool | None = None


INTERVAL_COLUMNS = {"low": "gap_low", "high": "gap_high", "reliable": "gap_reliable"}
"""The attributes of a policy in which the interval of a `DrawnGap` stands, in schemas that have them all."""


def side_of(gap: DrawnGap, epsilon: float) -> GapSide:
    """Return the side of epsilon on which a gap is.

    A gap without an interval is taken at its word, a lower end without an upper one reaches to infinity, and a gap
    that its estimator called unreliable is open.
    """
    if not isinstance(gap.value, float) or math.isnan(gap.value):
        return "unmeasured"
    low = gap.value if gap.low is None else gap.low
    high = gap.high if gap.high is not None else gap.value if gap.low is None else math.inf
    if low < epsilon <= high or gap.reliable is False:
        return "open"
    return "under" if gap.value < epsilon else "over"


def values_under(epsilon: float) -> st.SearchStrategy[float]:
    """Draw gaps in [0, epsilon): 0, the last number before epsilon, a subnormal one, and any."""
    edges = [value for value in (0.0, float(np.nextafter(epsilon, 0)), 5e-324) if value < epsilon]
    return st.sampled_from(edges) | st.floats(0, epsilon, exclude_max=True)


def values_over(epsilon: float) -> st.SearchStrategy[float]:
    """Draw gaps in [epsilon, infinity): epsilon, the next number, a huge one, and any."""
    edges = [value for value in (epsilon, float(np.nextafter(epsilon, math.inf)), 1e308) if epsilon <= value < math.inf]
    return st.sampled_from(edges) | st.floats(epsilon, allow_infinity=False)


def invalid_values() -> st.SearchStrategy[float]:
    """Draw numbers that no gap can be: negative ones, infinities, NaN."""
    return st.sampled_from([-1.0, -5e-324, math.inf, -math.inf, math.nan])


def drawn_gaps(kind: GapKind, epsilon: float, intervals: bool) -> st.SearchStrategy[DrawnGap]:
    """Draw gaps of a kind.

    Args:
        kind: the kind.
        epsilon: the bound.
        intervals: whether the schema has columns for intervals.
    """
    if kind == "unmeasured":
        return st.just(DrawnGap())
    if kind == "variable":
        return st.just(DrawnGap(Var(0)))
    if kind == "invalid":
        return invalid_values().map(DrawnGap)
    if kind == "straddling":
        return _straddling(epsilon)
    if kind == "unreliable":
        measured = _decided("under", epsilon, intervals) | _decided("over", epsilon, intervals)
        return measured.map(lambda gap: gap._replace(reliable=False))
    return _decided(kind, epsilon, intervals)


@st.composite
def _decided(draw: st.DrawFn, kind: Literal["under", "over"], epsilon: float, intervals: bool) -> DrawnGap:
    """Draw a gap on one side of epsilon, with an interval on the same side or without."""
    value = draw(values_under(epsilon) if kind == "under" else values_over(epsilon))
    if not intervals:
        return DrawnGap(value)
    reliable = draw(st.sampled_from([None, True]))
    if not draw(st.booleans()):
        return DrawnGap(value, reliable=reliable)
    high: float | None
    if kind == "under":
        edges = st.sampled_from([value, float(np.nextafter(epsilon, 0))])
        low, high = draw(_between(0.0, value)), draw(edges | st.floats(value, epsilon, exclude_max=True))
    else:
        low, high = draw(_between(epsilon, value)), draw(st.none() | st.floats(value, allow_infinity=False))
    return DrawnGap(value, low, high, reliable)


@st.composite
def _straddling(draw: st.DrawFn, epsilon: float) -> DrawnGap:
    """Draw a gap whose interval straddles epsilon, or ends there; its upper end may be unknown."""
    low, high = draw(values_under(epsilon)), draw(st.sampled_from([epsilon, None]) | values_over(epsilon))
    return DrawnGap(draw(st.floats(low, allow_infinity=False) if high is None else _between(low, high)), low, high)


def _between(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw numbers in [low, high], often its ends."""
    return st.sampled_from([low, high]) | st.floats(low, high)
