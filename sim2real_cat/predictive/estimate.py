"""Estimate the gap from the densities that simulated worlds gave to every recorded reading.

The gap has three numbers, in nats per control step. The rate is the divergence from the best world, all episodes
together, since one robot is one world. One episode by itself costs more: the mixture of the worlds, in which each has
the weight that the randomization or the fibre gives it. The difference is the complexity, the price of not knowing the
world when an episode starts.

The worlds of a fibre are one mixture. A member's weight at step t is what its trajectory has made of it so far,
ω_e(t) ∝ w_e Π_{s<t} p_e(o_s+1|h,a), so the mixture predicts Σ_e ω_e(t) p_e(o'|h,a). Everything stays in logarithms.
By the chain rule the one-step terms of an episode add up to ln P_real - ln Σ_e w_e P_e of the whole trajectory, so
their mean over episodes is the divergence of the trajectories, and per control step it is `PredictiveGap.episode`. The
rate is that of the members' accuracies, averaged over their posterior after all episodes.

The worlds of a randomization are integrated (`sim2real_cat.posteriors`). The rate is measured at the mode of all
episodes, where k of its coordinates were fitted to the same T transitions. So the log ratio is k/2T too small on
average, and the closed form of the divergence, where it is known, k/2T too large; `gap_of_posterior` corrects both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Estimate, Null
from sim2real_cat.gaps.permutation import p_value
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import UNITS, Level
from sim2real_cat.posteriors.densities import Densities
from sim2real_cat.posteriors.worlds_posterior import Posterior

GapOf = Literal["randomization", "fibre"]
"""The worlds that a gap is of: all of a randomization, integrated, or a finite fibre."""

GAPS_OF: tuple[GapOf, ...] = get_args(GapOf)
"""The worlds that a gap can be of."""

_MOST_BLOCKS = 256

# Half of a gap in fewer transitions than this share of them is a matter of moments, such as a contact.
_FEW = 0.02

# A log ratio of this many nats in a transition lies beyond six standard deviations of every prediction.
_BEYOND = 18.0

# More than this share of such transitions is worth a word.
_OUTSIDE = 0.05


# Below this an interval's end is 0 up to rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class MemberGaps:
    """The members of a finite fibre: their gaps and probabilities.

    Attributes:
        gaps: (M, 3) the gap of each member by itself with the ends of its interval, in nats per control step;
            infinite where it excludes a reading. Not negative, as every estimate.
        weights: (M,) of the members before anything was read.
        chances: (M,) their probabilities after all episodes, as if the robot lived in one of them.
        episode_chances: (episodes, M) after each episode by itself.
    """

    gaps: Floats
    weights: Floats
    chances: Floats
    episode_chances: Floats

    @property
    def best(self) -> int:
        """Return the member that explains the recording best."""
        return int(self.chances.argmax())


@dataclass(frozen=True, eq=False)
class PredictiveGap:
    """The predictive gap of one policy, and its parts.

    Attributes:
        gap_of: the worlds: a randomization, integrated, or a finite fibre.
        estimate: the rate, in nats per control step: the divergence from the best world, all episodes together. Of a
            finite fibre, from its members' mean accuracy under their posterior.
        complexity: the price of not knowing the world when an episode starts, in nats per control step.
        episode: the gap of one episode by itself, the worlds mixed, in nats per control step. Its `raw` is the sum of
            those of `estimate` and `complexity`.
        information_gain: KL(posterior of one episode || prior), mean over episodes, in nats per control step: the
            complexity if every episode were in the best world.
        trajectory: the gap of one episode in nats per episode: the sums of its transitions, given the first reading.
        episode_index: (N,) the real episode of each transition.
        terms: (N,) the rate of each transition, in nats; their mean is the estimate's `raw`, before the correction for
            the coordinates that were fitted.
        by_sensor: the rate of each sensor by itself, in nats per control step, with the noise of the readings; of
            independent sensors they add up to `estimate.plug_in`.
        surprise: (episodes,) minus the log-density of an episode's readings, the worlds mixed, per control step.
        noise: which noise was assumed, and where it comes from.
        noise_sensitivity: the rate, in nats per control step, if all deviations were a given factor of what they are;
            of a randomization at the same best world.
        members: the members of a finite fibre; None for a randomization.
        posterior: over the worlds of a randomization, after all episodes; None for a finite fibre.
    """

    gap_of: GapOf
    estimate: Estimate
    complexity: Estimate
    episode: Estimate
    information_gain: float
    trajectory: Estimate
    episode_index: Ints
    terms: Floats
    by_sensor: Mapping[str, float]
    surprise: Floats
    noise: str
    noise_sensitivity: Mapping[float, float]
    members: MemberGaps | None = None
    posterior: Posterior | None = None


def gap_of_densities(
    batches: Iterable[Mapping[float, Densities]],
    weights: Sequence[float] | Floats,
    sensors: Sequence[str],
    *,
    noise: str,
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    reasons: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> PredictiveGap:
    """Estimate the gap of a finite fibre from the densities of every recorded reading in each member and in reality.

    Args:
        batches: the densities of some whole episodes at a time, by the factor of the noise's deviations; the factor 1
            is the gap, others tell how it depends on the noise. A generator keeps memory small.
        weights: (M,) of the members; any positive total.
        sensors: d names.
        noise: which noise the densities assume, and whether it was given or fitted.
        confidence: nominal coverage of the interval, between 0 and 1.
        rng: deals episodes into blocks where there are more than 256.
        reasons: why the densities are not to be relied on.
        notes: what else the reader should know.

    Raises:
        GapError: no transition, a reading that no member can have produced, episodes of which each excludes the members
            that others leave, weights that are negative or all 0, or densities without the factor 1.
    """
    prior = _prior(weights)
    with np.errstate(divide="ignore"):
        log_weights = np.log(prior)
    found = follow_batches(batches, log_weights)
    mixed = found[1.0]
    rates = {factor: _pooled(of, log_weights) for factor, of in found.items()}
    rate = rates[1.0]
    about = _About(mixed, confidence, np.random.default_rng(rng), len(prior), tuple(sensors), tuple(reasons))
    sensitivity = {factor: float(of.terms.mean()) for factor, of in sorted(rates.items()) if factor != 1}
    by_episode = mixed.log_likelihood + log_weights
    chances = np.exp(by_episode - logsumexp(by_episode, axis=1, keepdims=True))
    return PredictiveGap(
        gap_of="fibre",
        estimate=about.per_step(rate.terms, rate.ratio, [*_said(noise, sensitivity, rate.terms), *notes]),
        complexity=about.per_step(mixed.terms - rate.terms, float(mixed.ratios.mean()) - rate.ratio),
        episode=about.per_step(mixed.terms, float(mixed.ratios.mean())),
        information_gain=float(_divergences(chances, log_weights).sum() / mixed.steps.sum()),
        trajectory=about.per_episode(mixed.terms, float((mixed.log_real - mixed.log_mixture).mean())),
        episode_index=mixed.episode,
        terms=rate.terms,
        by_sensor=dict(zip(sensors, (rate.sensors / mixed.steps.sum()).tolist(), strict=True)),
        surprise=-mixed.log_mixture / mixed.steps,
        noise=noise,
        noise_sensitivity=sensitivity,
        members=MemberGaps(_of_members(about), prior, rate.chances, chances),
    )


def gap_of_posterior(
    batches: Iterable[Mapping[float, Densities]],
    posterior: Posterior,
    episodes: EpisodePosteriors,
    sensors: Sequence[str],
    *,
    noise: str,
    null: Floats,
    fitted: bool = False,
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    reasons: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> PredictiveGap:
    """Estimate the gap of a randomization from the densities of every reading in its best world and in reality.

    At the mode of T transitions that determine k coordinates, the log ratio plus k/2T and the divergence minus k/2T
    both estimate the rate r. The first varies by (2 r T + k/2) / T² around it and the second by (k/2) / T², with errors
    of opposite sign; so they are mixed with the weights α = k / (2 k + 2 r T) and 1 - α, which make the variance least.
    Where reality's density is fitted, there is the log ratio alone, and `null` tells how far the fit is from it.

    Args:
        batches: as those of `gap_of_densities`, of the posterior's best world alone.
        posterior: after all episodes.
        episodes: the posteriors after each episode by itself.
        sensors: d names.
        noise: which noise the densities assume.
        null: (B,) draws of the log ratio per control step for a robot that is a world of the randomization; their mean
            plus k/2T is the error of a fitted reality.
        fitted: whether reality's density is a fit.
        confidence: nominal coverage of the interval, between 0 and 1.
        rng: deals episodes into blocks where there are more than 256.
        reasons: why it is not to be relied on.
        notes: what else the reader should know.

    Raises:
        GapError: no transition, or a reading that the best world cannot have produced.
    """
    found = follow_batches(batches, np.zeros(1))
    best = found[1.0]
    total, k = float(best.steps.sum()), posterior.freedom
    about = _About(best, confidence, np.random.default_rng(rng), 1, tuple(sensors), tuple(reasons))
    log_evidence, half = episodes.log_evidence, 0.5 * k / total
    ratio, divergence = float(best.ratios.mean()), float(best.terms.mean())
    share, closed = 1.0, not np.array_equal(best.ratios, best.terms)
    if closed:
        share = k / (2 * k + 2 * max(divergence - half, 0.0) * total) if k > 0 else 0.0
    terms = share * best.ratios + (1 - share) * best.terms
    correction = (2 * share - 1) * half
    variance = 0.5 * k / total**2
    if fitted:
        correction, variance = -float(null.mean()), float(null.var())
    price = episodes.log_likelihood - log_evidence - half * best.steps  # of not knowing the world, by episode
    each = np.repeat(price / best.steps, best.steps.astype(np.intp))
    sensitivity = {
        factor: float(of.terms.mean()) + (-half / factor**2 if closed else correction)
        for factor, of in sorted(found.items())
        if factor != 1
    }
    why = [*_said(noise, sensitivity, terms), *notes]
    estimate = about.per_step(terms, ratio, why, correction, variance)
    return PredictiveGap(
        gap_of="randomization",
        estimate=replace(estimate, null=_null(null, ratio, -float(null.mean()) if fitted else half)),
        complexity=about.per_step(each, float(each.mean())),
        episode=about.per_step(terms + each, ratio + float(each.mean()), (), correction, variance),
        information_gain=float(episodes.divergence.sum() / total),
        trajectory=about.per_episode(terms + each + correction, float(best.ratios.sum() + price.sum()) / len(price)),
        episode_index=best.episode,
        terms=terms,
        by_sensor=dict(zip(sensors, (best.sensors[:, 0].sum(axis=0) / total).tolist(), strict=True)),
        surprise=-log_evidence / best.steps,
        noise=noise,
        noise_sensitivity=sensitivity,
        posterior=posterior,
    )


@dataclass(frozen=True, eq=False)
class EpisodePosteriors:
    """The posteriors over the worlds of a randomization after single episodes.

    Attributes:
        log_likelihood: (episodes,) of an episode's readings in the best world of all episodes [nats].
        log_evidence: (episodes,) ln of the probability density of an episode's readings, the worlds integrated over.
        divergence: (episodes,) KL(posterior || prior) [nats].
    """

    log_likelihood: Floats
    log_evidence: Floats
    divergence: Floats


def _null(drawn: Floats, ratio: float, correction: float) -> Null:
    """Return the null of a randomization: the log ratio of a robot that is one of its worlds, and the p-value."""
    why = (
        "no A/A of recordings: the null is the law of the log ratio at the best world, for a robot that is one of the "
        f"worlds, by {len(drawn)} draws of the readings' noise around that world, linearised",
    )
    return Null((), (float(drawn.mean()) + correction,), p_value(drawn, ratio, sampled=True), 1, why)


def _said(noise: str, sensitivity: Mapping[float, float], terms: Floats) -> list[str]:
    """List notes on the noise that was assumed, and on where the gap arises."""
    said = [f"noise {noise}"]
    said += [f"with {factor:g} of its deviation the gap would be {value:.3g}" for factor, value in sensitivity.items()]
    return ["; ".join(said), *_concentration(terms)]


def _prior(weights: Sequence[float] | Floats) -> Floats:
    """Return (M,) the weights of the members, adding up to 1."""
    prior = np.asarray(weights, dtype=float)
    if not (np.isfinite(prior).all() and (prior >= 0).all() and prior.sum() > 0):
        raise GapError(f"weights must be finite, not negative and not all 0: {prior.tolist()}")
    return np.asarray(prior / prior.sum())


def follow_batches(batches: Iterable[Mapping[float, Densities]], log_weights: Floats) -> dict[float, MixtureTerms]:
    """Follow the mixture along all episodes, and return its terms by the factor of the noise's deviations.

    Raises:
        GapError: as `mixture_terms`, or no densities with the factor 1.
    """
    found: dict[float, list[MixtureTerms]] = {}
    for batch in batches:
        for factor, densities in batch.items():
            parts = found.setdefault(factor, [])
            parts.append(mixture_terms(densities, log_weights, sum(len(part.steps) for part in parts)))
    if 1.0 not in found:
        raise GapError("there are no densities with the noise as it is: give batches with the factor 1.0")
    return {factor: MixtureTerms.join(parts) for factor, parts in found.items()}


@dataclass(frozen=True, eq=False)
class MixtureTerms:
    """Log-probabilities of the readings of whole episodes, one episode after the other.

    Attributes:
        terms: (N,) ln p_real(o'|h,a) - ln p_sim(o'|h,a) of each transition, less what of it is known to be noise.
        ratios: (N,) the same with that noise.
        log_likelihood: (episodes, M) ln p_e of all readings of an episode.
        log_mixture: (episodes,) ln of the mixture's density of all readings.
        log_real: (episodes,) ln p_real of all readings.
        steps: (episodes,) transitions.
        members: (N, M) the terms of each member by itself; infinite where it cannot have produced the reading.
        sensors: (episodes, M, d) ln p_real - ln p_e of an episode's readings of each sensor by itself.
    """

    terms: Floats
    ratios: Floats
    log_likelihood: Floats
    log_mixture: Floats
    log_real: Floats
    steps: Floats
    members: Floats
    sensors: Floats

    @property
    def episode(self) -> Ints:
        """Return (N,) the episode of each transition."""
        return np.repeat(np.arange(len(self.steps)), self.steps.astype(np.intp))

    @classmethod
    def join(cls, parts: Sequence[MixtureTerms]) -> MixtureTerms:
        """Return the terms of all episodes of several parts."""
        return cls(*(np.concatenate([getattr(part, entry.name) for part in parts]) for entry in fields(cls)))


def mixture_terms(densities: Densities, log_weights: Floats, before: int = 0) -> MixtureTerms:
    """Follow the mixture along each episode.

    The log ratio of a reading is its divergence plus noise of mean 0. Where the divergences of the single members are
    known, so is most of that noise: the excess of the members, mixed with weights ∝ ω_e exp(-KL_e) that depend on the
    past alone. (They are those of the variational bound of Hershey and Olsen 2007, ICASSP, "Approximating the
    Kullback-Leibler divergence between Gaussian mixture models".) What is left still has the divergence as its mean,
    and is the closed form itself where one member is left.

    Args:
        densities: of whole episodes.
        log_weights: (M,) of the members before the episode.
        before: how many episodes came before these, for messages.

    Raises:
        GapError: a reading that no member can have produced.
    """
    episodes = np.split(np.arange(len(densities.episode)), np.flatnonzero(np.diff(densities.episode)) + 1)
    terms = np.empty(len(densities.episode))
    ratios = np.empty_like(terms)
    likelihood = np.empty((len(episodes), len(log_weights)))
    for i, rows in enumerate(episodes):
        own = densities.log_sim[:, rows]
        past = np.cumsum(own, axis=1)
        likelihood[i] = past[:, -1]
        prior = log_weights[:, None] + np.concatenate([np.zeros((len(own), 1)), past[:, :-1]], axis=1)
        with np.errstate(invalid="ignore"):  # once all members are out, which is refused below
            prior -= logsumexp(prior, axis=0)
        mixture = logsumexp(prior + own, axis=0)
        if not np.isfinite(mixture).all():
            step = int(np.flatnonzero(~np.isfinite(mixture))[0])
            raise GapError(
                f"no member of the fibre can have produced what was read after step {step} of episode {before + i}: "
                "the divergence is infinite; widen the randomization or model the sensor's noise"
            )
        ratios[rows] = densities.log_real[rows] - mixture
        share = prior - densities.divergence[:, rows]
        share = np.exp(share - logsumexp(share, axis=0))
        terms[rows] = ratios[rows] - (share * densities.excess[:, rows]).sum(axis=0)
    return MixtureTerms(
        terms,
        ratios,
        likelihood,
        np.asarray(logsumexp(log_weights + likelihood, axis=1)),
        np.array([densities.log_real[rows].sum() for rows in episodes]),
        np.array([float(len(rows)) for rows in episodes]),
        (densities.log_real - densities.log_sim - densities.excess).T,
        (densities.sensor_log_real - densities.sensor_log_sim).swapaxes(0, 1),
    )


@dataclass(frozen=True, eq=False)
class _Pooled:
    """The rate of a finite fibre: its members' terms, averaged over their posterior after all episodes.

    Attributes:
        chances: (M,) the posterior.
        terms: (N,) of each transition, less what of it is known to be noise.
        ratio: the mean with that noise.
        sensors: (d,) the sum over all transitions of each sensor's own log ratio.
    """

    chances: Floats
    terms: Floats
    ratio: float
    sensors: Floats


def _pooled(mixed: MixtureTerms, log_weights: Floats) -> _Pooled:
    """Average the terms of the members over their posterior after all episodes."""
    total = mixed.log_likelihood.sum(axis=0) + log_weights
    if not np.isfinite(total).any():
        raise GapError(
            "no member of the fibre can have produced all episodes, so that the rate is infinite: widen the "
            "randomization or model the sensor's noise"
        )
    chances = np.exp(total - logsumexp(total))
    left = np.flatnonzero(chances > 0)
    share = chances[left]
    ratio = (mixed.log_real.sum() - mixed.log_likelihood.sum(axis=0)[left] @ share) / mixed.steps.sum()
    sensors = np.einsum("emd,m->d", mixed.sensors[:, left], share)
    return _Pooled(chances, mixed.members[:, left] @ share, float(ratio), sensors)


def _divergences(chances: Floats, log_weights: Floats) -> Floats:
    """Compute (episodes,) KL(q || w) of each row of probabilities from the weights."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = chances * (np.log(chances) - log_weights)
    return np.asarray(np.where(chances > 0, terms, 0.0).sum(axis=1))


class _About:
    """The recording that estimates are of: makes them, with intervals over its episodes.

    Attributes:
        mixed: log-probabilities of its readings.
        blocks: its episodes, dealt into blocks.
    """

    def __init__(
        self,
        mixed: MixtureTerms,
        confidence: float,
        rng: np.random.Generator,
        n_members: int,
        sensors: tuple[str, ...],
        reasons: tuple[str, ...],
    ) -> None:
        if not 0 < confidence < 1:
            raise GapError(f"confidence is {confidence}: give a number between 0 and 1, such as 0.95")
        self.mixed, self.confidence = mixed, confidence
        self._n_members, self._sensors, self._reasons = n_members, sensors, reasons
        self.blocks = deal(mixed.episode, np.zeros_like(mixed.episode), _MOST_BLOCKS, rng)

    def per_step(
        self, terms: Floats, plug_in: float, notes: Sequence[str] = (), correction: float = 0.0, variance: float = 0.0
    ) -> Estimate:
        """Return the mean of terms (N,), with the jackknife's t interval over whole episodes.

        Args:
            terms: of the transitions.
            plug_in: the estimate's.
            notes: what the reader should know.
            correction: what is added to the mean.
            variance: of the mean, which no difference between episodes shows.
        """
        reasons, more = list(self._reasons), list(notes)
        raw = float(terms.mean()) + correction
        low, high = -np.inf, np.inf
        if len(terms) < 2:
            reasons.append("a single transition says nothing about the spread: no interval")
        else:
            sums = np.bincount(self.blocks.label, weights=terms, minlength=self.blocks.count)
            low, high = (end + correction for end in _ends(sums, self.blocks, self.confidence))
            fit = stats.norm.ppf(0.5 + self.confidence / 2) * np.sqrt(variance)
            low, high = raw - float(np.hypot(raw - low, fit)), raw + float(np.hypot(high - raw, fit))
            if len(self.mixed.steps) == 1:
                more.append(
                    "a single real episode, cut into stretches of time: the spread between episodes is not seen"
                )
        return self._estimate(raw, plug_in, (low, high), "transition", reasons, more)

    def per_episode(self, terms: Floats, plug_in: float) -> Estimate:
        """Return the mean of the episodes' sums of terms (N,), with Student's t over episodes."""
        sums = np.bincount(self.mixed.episode, weights=terms)
        raw, half = float(sums.mean()), np.inf
        if len(sums) > 1:
            width = stats.t.ppf(0.5 + self.confidence / 2, len(sums) - 1)
            half = float(width * sums.std(ddof=1) / np.sqrt(len(sums)))
        return self._estimate(raw, plug_in, (raw - half, raw + half), "trajectory", list(self._reasons), [])

    def _estimate(
        self,
        raw: float,
        plug_in: float,
        interval: tuple[float, float],
        level: Level,
        reasons: list[str],
        notes: list[str],
    ) -> Estimate:
        """Return an estimate, cut off at 0."""
        low, high = interval
        if high < -_ROUNDING:
            reasons.append("the whole interval lies below 0, where no KL does: the value 0 is no finding")
            low, high = 0.0, np.inf
        n = len(self.mixed.terms)
        return Estimate(
            value=max(raw, 0.0),
            low=max(low, 0.0),
            high=max(high, 0.0),
            raw=raw,
            plug_in=plug_in,
            confidence=self.confidence,
            method="predictive",
            level=level,
            units=UNITS[level],
            n_real=n,
            n_sim=n * self._n_members,
            episodes_real=len(self.mixed.steps),
            episodes_sim=0,
            n_members=self._n_members,
            sensors=self._sensors,
            reliable=not reasons,
            why=(*reasons, *notes),
        )


def _ends(sums: NDArray[Any], blocks: Blocks, confidence: float) -> tuple[float, float]:
    """Compute the jackknife's t interval of a mean over transitions, from its sum in each block."""
    n = int(blocks.sizes.sum())
    mean = float(sums.sum()) / n
    without = (sums.sum() - sums) / (n - blocks.sizes)
    return jackknife(mean, [LeftOut(blocks.sizes, without)]).interval(mean, confidence, 0.0)


def _of_members(about: _About) -> Floats:
    """Compute (M, 3) the gap of each member by itself with its interval.

    What a member adds to the mixture's gap, E[ln p_sim - ln p_e], is taken from the same readings. So noise that both
    share drops out, one member by itself has the gap of the mixture, and T gap <= T gap_e + ln 1/w_e holds of the
    estimates, with the gap of an episode, as it does of the truth. A single episode says nothing about how it spreads
    between episodes.
    """
    mixed, blocks = about.mixed, about.blocks
    episode = mixed.episode
    own = np.bincount(episode, weights=mixed.terms)
    sums = own[:, None] + mixed.log_mixture[:, None] - mixed.log_likelihood
    raw = sums.sum(axis=0) / mixed.steps.sum()
    found = np.column_stack([raw, np.zeros(len(raw)), np.full(len(raw), np.inf)])
    if len(own) > 1:
        block = blocks.label[np.searchsorted(episode, np.arange(len(own)))]
        for member in np.flatnonzero(np.isfinite(raw)):
            in_blocks = np.bincount(block, weights=sums[:, member], minlength=blocks.count)
            found[member, 1:] = _ends(in_blocks, blocks, about.confidence)
    found[found[:, 2] < 0, 2] = np.inf  # no KL lies there, so the value 0 is no finding
    return np.asarray(np.maximum(found, 0.0))


def _concentration(terms: Floats) -> list[str]:
    """List notes on the places in the recording where the gap arises."""
    notes = []
    ordered = np.sort(terms)[::-1].cumsum()
    if ordered[-1] > 0 and (share := (np.searchsorted(ordered, 0.5 * ordered[-1]) + 1) / len(terms)) < _FEW:
        notes.append(f"half of the gap arises in {share:.1%} of the transitions")
    if (outside := float((terms > _BEYOND).mean())) > _OUTSIDE:
        notes.append(
            f"{outside:.0%} of the transitions lie beyond six deviations of what any member expects: that reality "
            "differs is certain, the number is as good as the tail of the noise's model"
        )
    return notes
