"""What a caller may choose about an estimate, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Choices that `gap` hands to every method; each reads those that concern it.

    Attributes:
        confidence: Nominal coverage of the interval, between 0 and 1.
        neighbours: How many nearest neighbours count, at least 1.
        variant: Of the method "knn", a name in `knn_terms.VARIANTS`; None for the best that the samples allow.
        theiler: Steps of the own episode on both sides in which no point is a neighbour; None for the whole block.
        dither: Whether quantised sensors get noise of their quantum's width before distances are taken.
        splits: A/A comparisons of each side; None for as many as the method's cost allows.
    """

    confidence: float = 0.95
    neighbours: int = 5
    variant: str | None = None
    theiler: int | None = None
    dither: bool = True
    splits: int | None = None
