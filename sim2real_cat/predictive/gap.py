"""The predictive gap: set worlds to every recorded state, and compare the readings they expect with those recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import GapError, WorldError, listed
from sim2real_cat.gaps.estimate import Null
from sim2real_cat.gaps.permutation import p_value
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.posteriors.densities import Densities
from sim2real_cat.posteriors.expectation import HiddenPredictor, Predictor
from sim2real_cat.posteriors.inference import States, WorldLikelihood, posterior_of
from sim2real_cat.posteriors.likelihood import RecordingLikelihood
from sim2real_cat.posteriors.modes import climbed
from sim2real_cat.posteriors.prior import WorldPrior
from sim2real_cat.posteriors.readings import reading_densities, require_readings
from sim2real_cat.posteriors.sampling import ENOUGH
from sim2real_cat.posteriors.worlds_posterior import Posterior
from sim2real_cat.predictive.estimate import (
    EpisodePosteriors,
    PredictiveGap,
    follow_batches,
    gap_of_densities,
    gap_of_posterior,
)
from sim2real_cat.predictive.reality import FittedReality, KnownReality, Reality, fit_reality, null_of_fit
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.channels import PERIOD_FIELD, changes_period, with_period
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.world import World

NoiseSource = Literal["given", "fitted"]
"""The noise of the sensors: the world's, or fitted to the real readings where the world has none."""

SCALES = (0.5, 2.0)
"""Factors of the noise's deviations at which the gap is computed too."""

# Draws of the posterior after all episodes.
_DRAWS = 64
# Deviations of the errors that a fitted reality leaves beyond which they are too large.
_FAR = 4.0
# So many combinations of discrete values are all asked about in single episodes.
_FEW_CHOICES = 8
# A smallest possible p-value above this is mentioned.
_WORTH_A_WORD = 0.05


def predictive_gap(
    world: World,
    real: Trajectories,
    *,
    randomization: Randomization | None = None,
    fibre: Ensemble | None = None,
    sim: Trajectories | None = None,
    reality: Ensemble | None = None,
    states: States = "recorded",
    state_deviation: float | Sequence[float] = 0.0,
    noise: NoiseSource = "given",
    confidence: float = 0.95,
    draws: int = 999,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> PredictiveGap:
    """Estimate KL(P_real || P_sim) in nats per control step, from one-step predictive densities.

    Every world is set to every recorded state, does the recorded action, and says what each sensor would read; the
    sensor's noise makes a density of it, and sets the scale of the number. The worlds are all of a randomization,
    integrated, or a finite fibre. The result has the rate, which is the divergence from the best of them, the
    complexity, which is the price of not knowing the world when an episode starts, and the gap of one episode, which is
    their sum (`sim2real_cat.predictive.estimate`).

    Args:
        world: the simulated world, with the noise of its sensors.
        real: what happened, with states; episodes that diverged are left out.
        randomization: the worlds, over which the posterior of the recording is computed.
        fibre: the worlds, with their weights, in the place of a randomization; the world as it is where neither is
            given.
        sim: simulated episodes of the fibre, for the null of `PredictiveGap.episode`: the gap of a robot that is one of
            the fibre's worlds, and a p-value of no more than that. Costs as much again as the gap.
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
        draws: of a randomization, how many robots that are one of its worlds make the null of `estimate`; its p-value
            is at least 1/(draws + 1).
        rng: a generator, or a seed for one; draws worlds and noise, deals many episodes into blocks.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a sensor without noise, which has no density; no transition; a reading no member can have produced;
            a real side that is not Trajectories; both a randomization and a fibre, or a randomization with simulated
            episodes, hidden states or fitted noise.
        WorldError: the recording does not fit the world, or something random that has no density lies in between.
    """
    if not isinstance(real, Trajectories):
        raise GapError(f"the real side is Trajectories, got {type(real).__name__}; World.read_log reads a log")
    generator = np.random.default_rng(rng)
    if randomization is not None:
        _require_alone(fibre, sim, states, noise, draws)
    fibre = with_period(fibre_or_nominal(fibre), reality)
    recording = real.select(np.flatnonzero(real.kept & (real.lengths > 0)))
    asked = _Comparison(world, recording, fibre, reality, states, state_deviation, noise, confidence, threads)
    if sim is not None and sim.member_index.max(initial=0) >= len(fibre):
        raise WorldError(f"simulated episodes ran in member {sim.member_index.max()}, the fibre has {len(fibre)}")
    with on_one_thread():
        if randomization is not None:
            return asked.integrated(randomization, draws, generator)
        simulated, known = asked.sides()
        found = asked.estimate(simulated, known, generator)
    return found if sim is None else asked.with_null(found, sim, generator)


def _require_alone(
    fibre: Ensemble | None, sim: Trajectories | None, states: States, noise: NoiseSource, draws: int
) -> None:
    """Check what is given beside a randomization.

    Raises:
        GapError: a fibre, simulated episodes, hidden states, fitted noise, or no draws.
    """
    if fibre is not None:
        raise GapError("both a randomization and a fibre are given: give the one whose gap is asked for")
    if sim is not None:
        raise GapError("sim is of a fibre; the null of a randomization needs no simulated episodes: leave sim out")
    if states == "hidden":
        raise GapError(
            "the gap of a randomization needs recorded states: ask for that of a fibre, which takes hidden ones"
        )
    if noise == "fitted":
        raise GapError(
            "the gap of a randomization needs the sensors' noise: give it to the world, or ask for the gap of a fibre"
        )
    if draws < 1:
        raise GapError(f"the null needs draws, at least one, got {draws}: give draws=999")


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

    def integrated(self, randomization: Randomization, draws: int, rng: np.random.Generator) -> PredictiveGap:
        """Estimate the gap of a randomization, from the posterior over its worlds.

        Args:
            randomization: the worlds.
            draws: how many robots make the null.
            rng: a generator.
        """
        sensors = self.recording.sensors
        predictor = self._predictor(self.world, Ensemble.nominal())
        predictor.require_noise(sensors)
        if self.reality is not None and changes_period(self.reality) and PERIOD_FIELD not in randomization.changes:
            as_it_is = {PERIOD_FIELD: Change("scale", 1.0, 1.0)}
            randomization = replace(randomization, changes={**randomization.changes, **as_it_is})
        prior = WorldPrior.of(randomization, self.world)
        posterior = posterior_of(prior, RecordingLikelihood(predictor, self.recording), _DRAWS, rng)
        best = predictor.of(posterior.best)
        known: Reality = self._known(self.reality) if self.reality is not None else fit_reality(best, self.recording)
        reasons, notes = [*known.reasons], [*known.notes, *posterior.notes]
        # That no world explains the readings makes its parameters doubtful, not its distance.
        shaped = posterior.efficiency * len(posterior.weights) >= ENOUGH
        (notes if shaped else reasons).extend(posterior.reasons)
        if best.uncertain:
            notes.append("the error of the recorded states goes through the dynamics, linearised over one deviation")
        scales = SCALES if best.scalable(sensors, exact=self.reality is not None) else ()
        parts = list(self._densities(best, known, (1.0, *scales)))
        if excluding := self._excluding(parts):
            reasons.append(excluding)
        null = _null_ratios(posterior, draws, rng)
        if isinstance(known, FittedReality):
            null = self._fit_again(best, known, posterior, draws, rng, reasons, notes)
        return gap_of_posterior(
            parts,
            posterior,
            self._single_episodes(predictor, posterior),
            sensors,
            noise=known.noise,
            null=null,
            fitted=isinstance(known, FittedReality),
            confidence=self.confidence,
            rng=rng,
            reasons=reasons,
            notes=notes,
        )

    def _fit_again(
        self,
        best: Predictor,
        fitted: FittedReality,
        posterior: Posterior,
        draws: int,
        rng: np.random.Generator,
        reasons: list[str],
        notes: list[str],
    ) -> Floats:
        """Draw (draws,) log ratios of a fitted reality for robots of the randomization, and say how good the fit is.

        A fit explains at most what its features do. Where the sensors' noise is as given, the fit to a robot of the
        randomization leaves as much of the readings' errors as reality itself would.
        """
        sensors = self.recording.sensors
        if doubt := best.doubt(self.recording):
            reasons.append(doubt)
        if best.uncertain or not all(chain.plain for chain in best.chains(sensors)[0]):
            reasons.append(
                "reality's density is fitted, and how far it is off is known for plainly Gaussian noise only"
            )
            return np.full(draws, -0.5 * posterior.freedom / posterior.steps)
        k = posterior.prior.dimension
        choice, mode = posterior.modes[0]
        half = 0.5 * np.sqrt(np.diagonal(mode.covariance))
        around = best.of(posterior.prior.ensemble(mode.z + np.concatenate([np.diag(half), -np.diag(half)]), choice))
        width = np.array([chain.deviation for chain in best.chains(sensors)[0]])
        slope = []
        for part, _ in around.batches(self.recording):
            ends = around.expect(part).reading
            slope.append(np.moveaxis((ends[:k] - ends[k:]) / (2 * half)[:, None, None], 0, 2))
        again = null_of_fit(fitted, width, np.concatenate(slope), posterior, draws, rng)
        left = np.square((self._after() - fitted.expected) / width).mean()
        if left > again.left_over.mean() + _FAR * again.left_over.std():
            reasons.append(
                f"reality's density is fitted to other episodes, which leaves errors of {left:.3g} times the square of "
                f"the noise, {again.left_over.mean():.3g} times where the robot is one of the worlds: the gap is "
                "larger than this, or the noise is"
            )
        return again.ratios

    def _after(self) -> Floats:
        """Return (N, d) the readings after every transition."""
        episode, step = self.recording.transitions()
        return self.recording.observations[episode, step + 1]

    def _single_episodes(self, predictor: Predictor, posterior: Posterior) -> EpisodePosteriors:
        """Compute the posterior after each episode by itself, by the normal approximation.

        Each combination of discrete values is climbed from its mode of all episodes. One that all episodes exclude is
        climbed from the best mode, where there are not too many of them.
        """
        prior = posterior.prior
        starts = {choice: mode.z for choice, mode in reversed(posterior.modes)}
        if len(prior.chances) <= _FEW_CHOICES:
            starts = dict.fromkeys(range(len(prior.chances)), posterior.mode.z) | starts
        evidence, divergence = [], []
        for i in range(len(self.recording)):
            likelihood = RecordingLikelihood(predictor, self.recording.select(np.array([i])))
            alone = [climbed(WorldLikelihood(prior, choice, likelihood), z) for choice, z in starts.items()]
            log_prior = np.log(prior.chances[list(starts)])
            logs = np.array([mode.log_evidence for mode in alone]) + log_prior
            evidence.append(float(logsumexp(logs)))
            chances = np.exp(logs - evidence[-1])
            parts = np.array([mode.divergence for mode in alone]) + logs - evidence[-1] - log_prior
            divergence.append(float(chances[chances > 0] @ parts[chances > 0]))
        return EpisodePosteriors(posterior.mode.by_episode, np.array(evidence), np.array(divergence))

    def _excluding(self, parts: Sequence[Mapping[float, Densities]]) -> str:
        """Return why not to rely on a world that knows less of the readings than noise around the last ones does.

        A free fit takes the change of a sensor from one reading to the next for Gaussian noise of any mean and width,
        whatever the state and the action. '' where the world explains the readings better.

        Args:
            parts: the densities of all episodes in that world alone.
        """
        gain = sum(part[1.0].sensor_log_sim[0].sum(axis=0) for part in parts)
        episode, step = self.recording.transitions()
        change = np.diff(self.recording.observations, axis=1)[episode, step]
        spread = np.maximum(change.std(axis=0), np.finfo(float).tiny)
        gain = gain + len(change) * (np.log(spread) + 0.5 + 0.5 * np.log(2 * np.pi))
        if gain.sum() >= 0:
            return ""
        worst = [self.recording.sensors[i] for i in np.argsort(gain) if gain[i] < 0]
        return (
            "even the best world explains the readings less than noise around the last ones does, so that only their "
            f"difference is certain; excluded by {listed(worst)}"
        )

    def _densities(
        self, simulated: Predictor, known: Reality, scales: Sequence[float]
    ) -> Iterator[Mapping[float, Densities]]:
        """Yield the densities of a few episodes at a time, by the factor of the noise."""
        for part, rows in simulated.batches(self.recording):
            expected, real = simulated.expect(part), known.expect(part, rows)
            yield {scale: reading_densities(part, expected, real, scale) for scale in scales}

    def with_null(self, found: PredictiveGap, sim: Trajectories, rng: np.random.Generator) -> PredictiveGap:
        """Add to the gap of one episode its null: that of a robot that is one of the fibre's worlds.

        Simulated episodes are held against the fibre with the density of their own member as the truth, which gives
        each world its own gap: what the mixture costs a robot that lives there. Worlds are the units: where the robot
        is one more world, drawn as the members were, its gap is as likely to rank anywhere among theirs, so that

            p = (1 + number of members whose gap is at least the robot's) / (1 + members)

        is at most α with probability at most α, up to the members' own presence in the mixture. Of each member that
        has a weight as many episodes are drawn as make, together, about as many as there are real ones, at least one.
        """
        if self.noise == "fitted" or np.any(self.state_deviation):
            return _without_null(found, "the simulated episodes have other noise, or states without errors")
        assert found.members is not None, "simulated episodes are of a fibre"
        weights = found.members.weights
        usable = np.flatnonzero(sim.kept & (sim.lengths > 0) & (weights[sim.member_index] > 0))
        worlds = np.unique(sim.member_index[usable])
        if not len(worlds):
            return _without_null(found, "no episode of a member with a weight went on")
        each = max(len(found.surprise) // len(worlds), 1)
        shuffled = rng.permutation(usable)
        drawn = np.concatenate([shuffled[sim.member_index[shuffled] == member][:each] for member in worlds])
        drawn.sort()
        own = replace(self, recording=sim.select(drawn), reality=self.fibre)
        with on_one_thread():
            simulated, known = own.sides()
            batches = own._densities(simulated, known, (1.0,))
            mixed = follow_batches(batches, np.log(weights, where=weights > 0, out=np.full(len(weights), -np.inf)))[1.0]
        member = sim.member_index[drawn][mixed.episode]
        gaps = np.array([mixed.terms[member == one].mean() for one in worlds])
        as_large = p_value(gaps, found.episode.raw, sampled=True)
        why = [_EXACT]
        if 1 / (1 + len(worlds)) > _WORTH_A_WORD:
            why.append(f"with {len(worlds)} worlds the p-value is at least {1 / (1 + len(worlds)):.2g}")
        return _with(found, Null((), (float(gaps.mean()),), as_large, 1, tuple(why)))


def _null_ratios(posterior: Posterior, draws: int, rng: np.random.Generator) -> Floats:
    """Draw (draws,) log ratios per control step of a robot that is a world of the randomization and its best world.

    With the information F at the mode, readings of a world z have the score s ~ N(0, F), and the mode of their
    posterior lies δ = P⁻¹ (s - z) away, for the precision P. There the log-likelihood is sᵀδ - ½ δᵀFδ above that of z.
    The worlds z are drawn from the posterior.
    """
    mode = posterior.mode
    k = len(mode.z)
    values, vectors = np.linalg.eigh(mode.information)
    score = (rng.standard_normal((draws, k)) * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    robot = mode.z + rng.standard_normal((draws, k)) @ np.linalg.cholesky(mode.covariance).T
    off = (score - robot) @ mode.covariance
    gain = (score * off).sum(axis=1) - 0.5 * np.einsum("ni,ij,nj->n", off, mode.information, off)
    return np.asarray(-gain / posterior.steps)


_EXACT = "no A/A of the real side: its episodes are held against their own density already"


def _without_null(found: PredictiveGap, reason: str) -> PredictiveGap:
    """Return the gap without a null, and the reason."""
    return _with(found, Null((), (), None, 0, (_EXACT, f"no A/A of the simulated side: {reason}")))


def _with(found: PredictiveGap, null: Null) -> PredictiveGap:
    """Return the gap with a null of one episode."""
    return replace(found, episode=replace(found.episode, null=null))
