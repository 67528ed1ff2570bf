"""Curricula: rules that change the level of a randomization, from 0 (no width) to 1 (full ranges), during training.

A curriculum is a pure state machine: `update` takes a state and a performance and returns the next state. Its `measure`
names the performance that it needs; the trainer measures it and keeps the state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from sim2real_cat.errors import WorldError
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization

Measure = Literal["return", "boundary return", "terminations"]
"""The performance that a curriculum decides by: the mean return in the fibre, the mean return in worlds on the boundary
of the ranges (`Randomization.draw_boundary`), or how often an episode of the fibre was ended by its task."""


@dataclass(frozen=True)
class CurriculumState:
    """The state of a curriculum.

    Attributes:
        level: how wide the ranges are, from 0 to 1.
        updates: how often it was updated.
        recent: performances since the last decision.
    """

    level: float
    updates: int = 0
    recent: tuple[float, ...] = ()


class Curriculum(ABC):
    """A rule that widens or narrows the ranges of a randomization.

    Attributes:
        first: the level at the start.
        measure: the performance that `update` takes.
    """

    first: float
    measure: ClassVar[Measure]

    def start(self) -> CurriculumState:
        """Return the state before any training."""
        return CurriculumState(self.first)

    @abstractmethod
    def update(self, state: CurriculumState, performance: float) -> CurriculumState:
        """Return the state after one more update of the policy.

        Args:
            state: the state so far.
            performance: the performance named by `measure`; minus infinity where every episode diverged.

        Raises:
            WorldError: the performance is NaN.
        """


@dataclass(frozen=True)
class LinearCurriculum(Curriculum):
    """Widen in equal steps, whatever the performance.

    Attributes:
        steps: updates until the ranges are full.
        first: the level at the start.
    """

    steps: int
    first: float = 0.0
    measure: ClassVar[Measure] = "return"

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"a linear curriculum needs steps >= 1, got {self.steps}")
        _check_level("first", self.first)

    def update(self, state: CurriculumState, performance: float) -> CurriculumState:
        """Return the state at the next level, a step wider."""
        _check_performance(performance)
        updates = state.updates + 1
        return CurriculumState(min(1.0, self.first + (1 - self.first) * min(updates / self.steps, 1.0)), updates)


@dataclass(frozen=True)
class ThresholdCurriculum(Curriculum):
    """Automatic domain randomization: widen where the policy does well on the boundary, narrow where it fails.

    Every `window` updates the mean of the returns on the boundary is compared with two thresholds. Source: OpenAI et
    al., "Solving Rubik's Cube with a Robot Hand", 2019, algorithm 1, which has bounds for each parameter; here there is
    one level for all.

    Attributes:
        widen_at: mean return on the boundary from which on the ranges widen (t_H).
        narrow_at: mean return on the boundary up to which they narrow (t_L).
        step: how much the level changes at a time (Δ).
        window: returns that are averaged for a decision (m).
        first: the level at the start, and the least there is.
    """

    widen_at: float
    narrow_at: float
    step: float = 0.1
    window: int = 1
    first: float = 0.0
    measure: ClassVar[Measure] = "boundary return"

    def __post_init__(self) -> None:
        _require(
            math.isfinite(self.widen_at) and math.isfinite(self.narrow_at) and self.narrow_at < self.widen_at,
            f"a threshold curriculum needs narrow_at < widen_at, got {self.narrow_at:g} and {self.widen_at:g}",
        )
        _require(0 < self.step <= 1, f"a threshold curriculum needs 0 < step <= 1, got {self.step:g}")
        _require(self.window >= 1, f"a threshold curriculum needs window >= 1, got {self.window}")
        _check_level("first", self.first)

    def update(self, state: CurriculumState, performance: float) -> CurriculumState:
        """Return the state after one more return on the boundary."""
        _check_performance(performance)
        recent = (*state.recent, performance)
        if len(recent) < self.window:
            return CurriculumState(state.level, state.updates + 1, recent)
        mean = sum(recent) / len(recent)
        step = self.step if mean >= self.widen_at else -self.step if mean <= self.narrow_at else 0.0
        return CurriculumState(_stepped(state.level, step, self.first), state.updates + 1)


@dataclass(frozen=True)
class StepWhenSaturated(Curriculum):
    """Step up while episodes are seldom ended by their task, step down while they often are.

    The counterpart of the curriculum of this name in ksim (kscalelabs/ksim, ``ksim/curriculum.py``), which counts
    the deaths per episode and after every decision waits for some updates.

    Attributes:
        levels: steps from 0 to 1.
        widen_below: ended episodes per episode under which the level goes up.
        narrow_above: ended episodes per episode over which it goes down.
        wait: updates that are waited for before each decision.
        first: the level at the start, and the least there is.
    """

    levels: int
    widen_below: float
    narrow_above: float
    wait: int
    first: float = 0.0
    measure: ClassVar[Measure] = "terminations"

    def __post_init__(self) -> None:
        _require(self.levels >= 1, f"StepWhenSaturated needs levels >= 1, got {self.levels}")
        _require(self.wait >= 0, f"StepWhenSaturated needs wait >= 0, got {self.wait}")
        _require(
            0 < self.widen_below <= self.narrow_above < math.inf,
            f"StepWhenSaturated needs 0 < widen_below <= narrow_above, got {self.widen_below:g} and "
            f"{self.narrow_above:g}",
        )
        _check_level("first", self.first)

    def update(self, state: CurriculumState, performance: float) -> CurriculumState:
        """Return the state after one more update, decided by the last performance alone."""
        _check_performance(performance)
        if len(state.recent) < self.wait:
            return CurriculumState(state.level, state.updates + 1, (*state.recent, performance))
        up, down = performance < self.widen_below, performance > self.narrow_above
        return CurriculumState(_stepped(state.level, (up - down) / self.levels, self.first), state.updates + 1)


@dataclass(frozen=True)
class Widening:
    """A fibre of worlds that a curriculum widens while a policy trains in it.

    Attributes:
        randomization: the randomization at level 1, bound to its world where it needs to be.
        n_members: worlds in the fibre.
        curriculum: the rule by which it widens.
    """

    randomization: Randomization
    n_members: int
    curriculum: Curriculum

    def __post_init__(self) -> None:
        _require(self.n_members >= 1, f"a fibre needs n_members >= 1, got {self.n_members}")

    def fibre(self, state: CurriculumState, seed: int) -> Ensemble:
        """Draw the worlds at a state's level; with one seed, every world moves outwards as the level grows."""
        return self.randomization.at(state.level).draw(self.n_members, rng=seed)

    def boundary(self, state: CurriculumState, seed: int) -> Ensemble:
        """Draw as many worlds on the boundary of the ranges at a state's level."""
        return self.randomization.at(state.level).draw_boundary(self.n_members, rng=seed)


def _stepped(level: float, step: float, least: float) -> float:
    """Return a level one step on, from the least level to 1; rounded, so that ten steps of a tenth make 1."""
    return min(max(round(level + step, 12), least), 1.0)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise WorldError(message)


def _check_level(name: str, level: float) -> None:
    _require(0 <= level <= 1, f"'{name}' is a level from 0 to 1, got {level:g}")


def _check_performance(performance: float) -> None:
    _require(not math.isnan(performance), "a curriculum cannot be updated with the performance NaN")
