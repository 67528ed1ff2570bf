"""The predictive gap of a world: set it to every recorded state and ask what it expected the sensors to read next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import GapError, WorldError, listed, unknown_name
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.posteriors.densities import Densities
from sim2real_cat.posteriors.expectation import Expectation, Expected, HiddenExpectation
from sim2real_cat.posteriors.readings import Fitted, reading_densities
from sim2real_cat.predictive.estimate import Predictive, predictive
from sim2real_cat.predictive.fitted_reality import CrossFit, cross_fit
from sim2real_cat.predictive.null import calibrated, without_null
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import World

SCALES = (0.5, 2.0)
"""Factors of the noise's deviations at which the gap is computed too."""

_AT_ONCE = 4_000_000
"""Expected readings (of all members and sensors) that are held at a time."""


def predictive_gap(
    world: World,
    real: Trajectories,
    *,
    fibre: Ensemble | None = None,
    reality: Ensemble | None = None,
    sim: Trajectories | None = None,
    states: str = "recorded",
    state_deviation: float | Sequence[float] = 0.0,
    noise: str = "given",
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> Predictive:
    """KL(P_real || P_sim) in nats per control step, from one-step predictive densities.

    Every member of the fibre is set to every recorded state, does the recorded action, and says what each sensor
    would read; the sensor's noise makes a density of it. The members are mixed by their trajectories' likelihoods
    (`sim2real_cat.predictive.mixture`). The noise sets the scale of the number.

    Args:
        world: the simulated world, with the noise of its sensors.
        real: what happened, with states; episodes that diverged are left out.
        fibre: the fibre with its weights; the world as it is where none is given.
        reality: where `real` was simulated, the parameters of that world, whose row is `real.member_index`: then
            reality's own density is exact. Otherwise it is fitted to episodes left out, and the gap is, on average,
            too small rather than too large.
        sim: simulated episodes of the fibre, for `Estimate.null`: what the gap is of a robot that is one of the
            fibre's worlds, and a p-value of no more than that. Costs as much again as the gap.
        states: "recorded" sets members to every recorded state, so that a term asks about one control step. "hidden"
            uses the first one alone: each member follows the readings by a Kalman filter (`gaps.filtering`), so that
            small differences add up over the episode as they do in the divergence of whole trajectories.
        state_deviation: standard deviation of the error of the recorded states: one number, two for positions and
            velocities, or one for each of the 2 nv coordinates. It goes through every member's dynamics, linearised
            over one deviation; 0 where the states are exact. Not ignoring it is what keeps a noisy state estimate from
            looking like wrong dynamics. Errors need to be small against how far the states spread, which
            members do not know of and a fitted reality does; where they are not, the estimate is unreliable.
        noise: "given" takes the world's noise; "fitted" gives sensors without any a Gaussian one, as wide as what
            cannot be predicted of the real readings.
        confidence: nominal coverage of the interval.
        rng: a generator, or a seed for one; deals many episodes into blocks.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a sensor without noise, which has no density; no transition; a reading no member can have produced.
        WorldError: the recording does not fit the world, or something random that has no density lies in between.
    """
    fibre = Ensemble.nominal() if fibre is None else fibre
    if noise not in ("given", "fitted"):
        raise GapError(f"noise is '{noise}': give 'given' or 'fitted'")
    if noise == "fitted" and reality is not None:
        raise GapError(
            "noise='fitted' is for recordings of a world that is not known; this one's noise is: leave it out"
        )
    if states not in ("recorded", "hidden"):
        raise GapError(f"states is '{states}': give 'recorded' or 'hidden'")
    generator = np.random.default_rng(rng)
    asked: type[Expectation] = HiddenExpectation if states == "hidden" else Expectation
    recording = real.select(np.flatnonzero(real.kept & (real.lengths > 0)))
    if not len(recording):
        raise GapError("the real side has no transition: all episodes diverged or have no step")
    _require_readings(world, recording)
    if states == "hidden" and noise == "fitted":
        raise GapError("noise is fitted to what recorded states leave open; with hidden states give the sensors' noise")
    simulated = asked(world, fibre, state_deviation, threads)
    with on_one_thread():
        if noise == "given":
            simulated.require_noise(recording.sensors)  # before anything is simulated
        if reality is None:
            fitted = _fit(simulated, recording)
            said = "as given"
            if noise == "fitted" and (silent := simulated.without_noise(recording.sensors)):
                widths = dict(zip(recording.sensors, fitted.deviation.mean(axis=0).tolist(), strict=True))
                said = "fitted to what no prediction leaves of " + listed(
                    f"{name} {widths[name]:.3g}" for name in silent
                )
                noisy = replace(world, noise={**world.noise, **{name: widths[name] for name in silent}})
                simulated = asked(noisy, fibre, state_deviation, threads)
            of_reality: _Reality = _Fit(fitted)
            reasons, notes = fitted.reasons, [_LOWER.format(folds=fitted.folds)]
        else:
            said, reasons, notes = "as given", [], []
            rows = _real_rows(reality, recording)
            own = {row: asked(world, reality.select([row]), state_deviation, threads) for row in rows}
            for one in own.values():
                one.require_noise(recording.sensors)
            of_reality = _Worlds(own)
        simulated.require_noise(recording.sensors)
        if reality is None and (doubt := simulated.doubt(recording)):
            reasons = [*reasons, doubt]
        if simulated.filters:
            notes.append("states are hidden: every member follows the readings by a Kalman filter")
        elif simulated.uncertain:
            notes.append("the error of the recorded states goes through the dynamics, linearised over one deviation")
        scales = SCALES if simulated.scalable(recording.sensors, exact=reality is not None) else ()
        if not scales:
            notes.append("what other noise would do to the gap is told for recorded states and Gaussian noise only")
        found = predictive(
            _blocks(simulated, of_reality, recording, scales),
            fibre.weights,
            recording.sensors,
            noise=said,
            confidence=confidence,
            rng=generator,
            reasons=reasons,
            notes=notes,
        )
    if sim is None:
        return found
    if sim.member_index.max(initial=0) >= len(fibre):
        raise WorldError(f"simulated episodes ran in member {sim.member_index.max()}, the fibre has {len(fibre)}")
    if noise == "fitted" or simulated.uncertain:
        return without_null(found, "the simulated episodes have other noise, or states without errors")

    def of_simulated(part: Trajectories) -> Predictive:
        return predictive_gap(
            simulated.world,
            part,
            fibre=fibre,
            reality=fibre,
            states=states,
            state_deviation=state_deviation,
            confidence=confidence,
            rng=generator,
            threads=threads,
        )

    return calibrated(found, sim, of_simulated, generator)


_LOWER = (
    "reality's own density is fitted to episodes left out in {folds} turns: on average the gap is too small rather "
    "than too large"
)


class _Reality(Protocol):
    """What reality itself expected."""

    def __call__(self, part: Trajectories, rows: slice) -> Expected | Fitted:
        """Of some episodes, whose transitions are `rows` of the whole recording."""


@dataclass(frozen=True, eq=False)
class _Fit:
    """Reality as fitted to the episodes left out."""

    fitted: CrossFit

    def __call__(self, part: Trajectories, rows: slice) -> Fitted:
        return Fitted(self.fitted.expected[rows], self.fitted.deviation[rows])


@dataclass(frozen=True, eq=False)
class _Worlds:
    """Reality as the worlds that episodes ran in."""

    members: Mapping[int, Expectation]

    def __call__(self, part: Trajectories, rows: slice) -> Expected:
        return self.members[int(part.member_index[0])].of(part)


def _blocks(
    simulated: Expectation, reality: _Reality, recording: Trajectories, scales: Sequence[float]
) -> Iterator[Mapping[float, Densities]]:
    """The densities of a few episodes at a time."""
    first = 0
    for some in _episode_blocks(recording, simulated):
        part = recording.select(some)
        rows = slice(first, first + int(part.lengths.sum()))
        first = rows.stop
        expected, real = simulated.of(part), reality(part, rows)
        yield {scale: reading_densities(part, expected, real, scale) for scale in (1.0, *scales)}


def _require_readings(world: World, recording: Trajectories) -> None:
    """Check that the recording is of this world's sensors, and finite.

    Raises:
        WorldError: a sensor that the world does not have.
        GapError: a reading that is NaN or infinite.
    """
    for name in recording.sensors:
        if name not in world.sensors:
            raise WorldError(f"the recording, in world '{world.name}': " + unknown_name("sensor", name, world.sensors))
    within = np.arange(recording.observations.shape[1]) <= recording.lengths[:, None]
    bad = within[..., None] & ~np.isfinite(recording.observations)
    if bad.any():
        episode, frame, sensor = (int(i) for i in np.argwhere(bad)[0])
        raise GapError(
            f"the recording has {int(bad.sum())} readings that are NaN or infinite, the first in episode {episode}, "
            f"frame {frame}, sensor '{recording.sensors[sensor]}': repair or cut them"
        )


def _real_rows(reality: Ensemble, recording: Trajectories) -> list[int]:
    """The members of reality in which episodes ran.

    Raises:
        WorldError: an episode of a member that there is not.
    """
    rows: list[int] = np.unique(recording.member_index).tolist()
    if rows[-1] >= len(reality):
        raise WorldError(f"episodes ran in member {rows[-1]} of reality, which has {len(reality)}, counted from 0")
    return rows


def _fit(simulated: Expectation, recording: Trajectories) -> CrossFit:
    """Reality's density, from the residuals of the member that comes nearest to the readings."""
    episode = np.repeat(np.arange(len(recording)), recording.lengths)
    step = np.arange(len(episode)) - np.repeat(np.cumsum(recording.lengths) - recording.lengths, recording.lengths)
    before, after = (recording.observations[episode, step + later] for later in (0, 1))
    scale = np.where(after.std(axis=0) > 0, after.std(axis=0), 1.0)
    squares = np.zeros((len(simulated.fibre), after.shape[1]))
    first = 0
    for some in _episode_blocks(recording, simulated):
        expected = simulated.of(recording.select(some)).reading
        part = after[first : first + expected.shape[1]]
        first += len(part)
        squares += np.square((part - expected) / scale).sum(axis=1)
    if np.isnan(squares).all(axis=0).any():
        raise GapError("every member of the fibre diverges from a recorded state; are its units right?")
    with np.errstate(divide="ignore"):  # a sensor that a member repeats exactly; the fit says that it has no density
        nearest = int(np.nanargmin(np.log(squares).sum(axis=1)))
    own = simulated.member(nearest).of(recording).reading[0]
    known = [recording.actions[episode, step]]
    if not simulated.filters:
        known += [recording.qpos[episode, step], recording.qvel[episode, step]]
    if simulated.filters or not simulated.uncertain:
        known.append(before)  # readings that the members know of, or that say no more than the state does
    return cross_fit(after, own, np.hstack(known), episode)


def _episode_blocks(recording: Trajectories, simulated: Expectation) -> Iterator[NDArray[np.intp]]:
    """Successive whole episodes of one real member, as many as fit in memory."""
    members, width = len(simulated.fibre), len(recording.sensors)
    width *= width if simulated.uncertain else 1
    room = max(_AT_ONCE // (members * width), 1)
    block = (np.cumsum(recording.lengths) - recording.lengths) // room
    changes = np.flatnonzero(np.diff(block) + np.abs(np.diff(recording.member_index))) + 1
    yield from np.split(np.arange(len(recording)), changes)
