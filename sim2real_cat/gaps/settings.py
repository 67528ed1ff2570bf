"""What a caller may choose about an estimate, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Choices that `gap` hands to every method; each reads those that concern it.

    Attributes:
        confidence: Nominal coverage of the interval, between 0 and 1.
        neighbours: How many nearest neighbours count, at least 1.
    """

    confidence: float = 0.95
    neighbours: int = 5
