"""The predictive gap: set a world to every recorded state, and compare the readings it expects with those recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from sim2real_cat.errors import GapError, WorldError, listed
from sim2real_cat.gaps.estimate import Null
from sim2real_cat.gaps.permutation import p_value
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.posteriors.densities import Densities
from sim2real_cat.posteriors.expectation import HiddenPredictor, Predictor
from sim2real_cat.posteriors.readings import reading_densities, require_readings
from sim2real_cat.predictive.estimate import PredictiveGap, gap_of_densities
from sim2real_cat.predictive.reality import KnownReality, Reality, fit_reality
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.channels import with_period
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.world import World

States = Literal["recorded", "hidden"]
"""The states that members know: every recorded one, or the first one alone."""

NoiseSource = Literal["given", "fitted"]
"""The noise of the sensors: the world's, or fitted to the real readings where the world has none."""

SCALES = (0.5, 2.0)
"""Factors of the noise's deviations at which the gap is computed too."""

# A smallest possible p-value above this is mentioned.
_WORTH_A_WORD = 0.05


def predictive_gap(
    world: World,
    real: Trajectories,
    *,
    fibre: Ensemble | None = None,
    sim: Trajectories | None = None,
    reality: Ensemble | None = None,
    states: States = "recorded",
    state_deviation: float | Sequence[float] = 0.0,
    noise: NoiseSource = "given",
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> PredictiveGap:
    """Estimate KL(P_real || P_sim) in nats per control step, from one-step predictive densities.

    Every member of the fibre is set to every recorded state, does the recorded action, and says what each sensor
    would read; the sensor's noise makes a density of it. The members are mixed by their trajectories' likelihoods
    (`sim2real_cat.predictive.estimate`). The noise sets the scale of the number.

    Args:
        world: the simulated world, with the noise of its sensors.
        real: what happened, with states; episodes that diverged are left out.
        fibre: the worlds that trained the policy, with their weights; the world as it is where none is given.
        sim: simulated episodes of the fibre, for `Estimate.null`: the gap of a robot that is one of the
            fibre's worlds, and a p-value of no more than that. Costs as much again as the gap.
        reality: where `real` was simulated, the parameters of that world, whose row is `real.member_index`: then
            reality's own density is exact. Otherwise it is fitted to episodes left out, and the gap is, on average,
            too small rather than too large.
        states: "recorded" sets members to every recorded state, so that a term asks about one control step. "hidden"
            uses the first one alone: each member follows the readings by a Kalman filter
            (`sim2real_cat.posteriors.kalman`), so that small differences add up over the episode as they do in the
            divergence of whole trajectories.
        state_deviation: standard deviation of the error of the recorded states: one number, two for positions and
            velocities, or one for each of the 2 nv coordinates. It goes through every member's dynamics, linearised
            over one deviation; 0 where the states are exact. It keeps a noisy state estimate from looking like wrong
            dynamics. Errors need to be small against how far the states spread, which
            members do not know of and a fitted reality does; where they are not, the estimate is unreliable.
        noise: "given" takes the world's noise; "fitted" gives sensors without any a Gaussian one, as wide as what
            cannot be predicted of the real readings.
        confidence: nominal coverage of the interval.
        rng: a generator, or a seed for one; deals many episodes into blocks.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a sensor without noise, which has no density; no transition; a reading no member can have produced;
            a real side that is not Trajectories.
        WorldError: the recording does not fit the world, or something random that has no density lies in between.
    """
    if not isinstance(real, Trajectories):
        raise GapError(f"the real side is Trajectories, got {type(real).__name__}; World.read_log reads a log")
    generator = np.random.default_rng(rng)
    fibre = with_period(fibre_or_nominal(fibre), reality)
    recording = real.select(np.flatnonzero(real.kept & (real.lengths > 0)))
    asked = _Comparison(world, recording, fibre, reality, states, state_deviation, noise, confidence, threads)
    if sim is not None and sim.member_index.max(initial=0) >= len(fibre):
        raise WorldError(f"simulated episodes ran in member {sim.member_index.max()}, the fibre has {len(fibre)}")
    with on_one_thread():
        simulated, known = asked.sides()
        found = asked.estimate(simulated, known, generator)
    return found if sim is None else asked.with_null(found, sim, generator)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The checked arguments of `predictive_gap`: a recording, the fibre that it is compared with, and the choices."""

    world: World
    recording: Trajectories
    fibre: Ensemble
    reality: Ensemble | None
    states: States
    state_deviation: float | Sequence[float]
    noise: NoiseSource
    confidence: float
    threads: int

    def __post_init__(self) -> None:
        if self.noise not in get_args(NoiseSource):
            raise GapError(f"noise is '{self.noise}': give 'given' or 'fitted'")
        if self.noise == "fitted" and self.reality is not None:
            raise GapError(
                "noise='fitted' is for an unknown reality; the noise of a given one is known: leave noise='fitted' out"
            )
        if self.states not in get_args(States):
            raise GapError(f"states is '{self.states}': give 'recorded' or 'hidden'")
        if not len(self.recording):
            raise GapError("the real side has no transition: all episodes diverged or have no step")
        require_readings(self.world, self.recording)
        if self.states == "hidden" and self.noise == "fitted":
            raise GapError(
                "noise is fitted to what recorded states leave open; with hidden states give the sensors' noise"
            )

    def sides(self) -> tuple[Predictor, Reality]:
        """Return the simulated side, with fitted noise where that was asked for, and the real side."""
        simulated, sensors = self._predictor(self.world, self.fibre), self.recording.sensors
        if self.noise == "given":
            simulated.require_noise(sensors)
        if self.reality is not None:
            return simulated, self._known(self.reality)
        fitted = fit_reality(simulated, self.recording)
        if self.noise == "fitted" and (silent := simulated.without_noise(sensors)):
            widths = dict(zip(sensors, fitted.deviation.mean(axis=0).tolist(), strict=True))
            noisy = replace(self.world, noise={**self.world.noise, **{name: widths[name] for name in silent}})
            simulated = self._predictor(noisy, self.fibre)
            fitted = replace(
                fitted,
                noise="fitted to what predictions leave over: "
                + listed(f"{name} {widths[name]:.3g}" for name in silent),
            )
        simulated.require_noise(sensors)
        return simulated, fitted

    def _predictor(self, world: World, fibre: Ensemble) -> Predictor:
        """Return the predictor of some members, from recorded or hidden states."""
        kind = HiddenPredictor if self.states == "hidden" else Predictor
        return kind(world, fibre, self.state_deviation, self.threads)

    def _known(self, reality: Ensemble) -> KnownReality:
        """Return reality as the members in which episodes ran.

        Raises:
            WorldError: an episode ran in a member that reality does not have.
        """
        rows: list[int] = np.unique(self.recording.member_index).tolist()
        if rows[-1] >= len(reality):
            raise WorldError(f"episodes ran in member {rows[-1]} of reality, which has {len(reality)}, counted from 0")
        members = {row: self._predictor(self.world, reality.select([row])) for row in rows}
        for member in members.values():
            member.require_noise(self.recording.sensors)
        return KnownReality(members)

    def estimate(self, simulated: Predictor, known: Reality, rng: np.random.Generator) -> PredictiveGap:
        """Estimate the gap of the recording, with reasons for doubt and notes."""
        sensors, reasons, notes = self.recording.sensors, [*known.reasons], [*known.notes]
        if self.reality is None and (doubt := simulated.doubt(self.recording)):
            reasons.append(doubt)
        if simulated.filters:
            notes.append("states are hidden: every member follows the readings by a Kalman filter")
        elif simulated.uncertain:
            notes.append("the error of the recorded states goes through the dynamics, linearised over one deviation")
        scales = SCALES if simulated.scalable(sensors, exact=self.reality is not None) else ()
        if not scales:
            notes.append("what other noise would do to the gap is told for recorded states and Gaussian noise only")
        return gap_of_densities(
            self._densities(simulated, known, (1.0, *scales)),
            self.fibre.weights,
            sensors,
            noise=known.noise,
            confidence=self.confidence,
            rng=rng,
            reasons=reasons,
            notes=notes,
        )

    def _densities(
        self, simulated: Predictor, known: Reality, scales: Sequence[float]
    ) -> Iterator[Mapping[float, Densities]]:
        """Yield the densities of a few episodes at a time, by the factor of the noise."""
        for part, rows in simulated.batches(self.recording):
            expected, real = simulated.expect(part), known.expect(part, rows)
            yield {scale: reading_densities(part, expected, real, scale) for scale in scales}

    def with_null(self, found: PredictiveGap, sim: Trajectories, rng: np.random.Generator) -> PredictiveGap:
        """Add to the gap its null: the gap of a robot that is one of the fibre's worlds.

        Simulated episodes are held against the fibre with the density of their own member as the truth, which gives
        each world its own gap: what the mixture costs a robot that lives there. Worlds are the units: where the robot
        is one more world, drawn as the members were, its gap is as likely to rank anywhere among theirs, so that

            p = (1 + number of members whose gap is at least the robot's) / (1 + members)

        is at most α with probability at most α, up to the members' own presence in the mixture. Of each member that
        has a weight as many episodes are drawn as make, together, about as many as there are real ones, at least one.
        """
        if self.noise == "fitted" or np.any(self.state_deviation):
            return _without_null(found, "the simulated episodes have other noise, or states without errors")
        usable = np.flatnonzero(sim.kept & (sim.lengths > 0) & (found.weights[sim.member_index] > 0))
        worlds = np.unique(sim.member_index[usable])
        if not len(worlds):
            return _without_null(found, "no episode of a member with a weight went on")
        each = max(len(found.surprise) // len(worlds), 1)
        shuffled = rng.permutation(usable)
        drawn = np.concatenate([shuffled[sim.member_index[shuffled] == member][:each] for member in worlds])
        drawn.sort()
        own = predictive_gap(
            self.world,
            sim.select(drawn),
            fibre=self.fibre,
            reality=self.fibre,
            states=self.states,
            state_deviation=self.state_deviation,
            confidence=self.confidence,
            rng=rng,
            threads=self.threads,
        )
        member = sim.member_index[drawn][own.episode]
        gaps = np.array([own.terms[member == one].mean() for one in worlds])
        as_large = p_value(gaps, found.estimate.raw, sampled=True)
        why = [_EXACT]
        if 1 / (1 + len(worlds)) > _WORTH_A_WORD:
            why.append(f"with {len(worlds)} worlds the p-value is at least {1 / (1 + len(worlds)):.2g}")
        return _with(found, Null((), (float(gaps.mean()),), as_large, 1, tuple(why)))


_EXACT = "no A/A of the real side: its episodes are held against their own density already"


def _without_null(found: PredictiveGap, reason: str) -> PredictiveGap:
    """Return the gap without a null, and the reason."""
    return _with(found, Null((), (), None, 0, (_EXACT, f"no A/A of the simulated side: {reason}")))


def _with(found: PredictiveGap, null: Null) -> PredictiveGap:
    """Return the gap with a null in its estimate."""
    return replace(found, estimate=replace(found.estimate, null=null))
