"""Estimate the gap from the densities that each simulated world gave to every recorded reading.

The worlds of a fibre are one mixture. A member's weight at step t is what its trajectory has made of it so far,
ω_e(t) ∝ w_e Π_{s<t} p_e(o_s+1|h,a), so the mixture predicts Σ_e ω_e(t) p_e(o'|h,a). Everything stays in logarithms.
By the chain rule the one-step terms of an episode add up to ln P_real - ln Σ_e w_e P_e of the whole trajectory, so
their mean over episodes is the divergence of the trajectories, and per control step it is `kl_gap`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.gaps.estimate import Estimate
from sim2real_cat.gaps.resampling import Blocks, LeftOut, deal, jackknife
from sim2real_cat.gaps.samples import UNITS
from sim2real_cat.posteriors.densities import Densities

_MOST_BLOCKS = 256

# Half of a gap in fewer transitions than this share of them is a matter of moments, such as a contact.
_FEW = 0.02

# A log ratio of this many nats in a transition lies beyond six standard deviations of every prediction.
_BEYOND = 18.0

# More than this share of such transitions is worth a word.
_OUTSIDE = 0.05


@dataclass(frozen=True, eq=False)
class PredictiveGap:
    """The predictive gap of one policy, and what it is made of.

    Attributes:
        estimate: the gap in nats per control step.
        trajectory: the same in nats per episode: the sums of the episodes' transitions, given the first reading.
        episode: (N,) the real episode of each transition.
        terms: (N,) the gap of each transition, in nats; their mean is the estimate's `raw`.
        by_sensor: the gap of each sensor by itself, in nats per control step, with the noise of the readings; of one
            member and independent sensors they add up to `estimate.plug_in`.
        member_gaps: (M, 3) the gap of each member by itself with the ends of its interval, in nats per control step;
            infinite where it excludes a reading. Not negative, as the estimate.
        weights: (M,) of the members before anything was read.
        posterior: (M,) of the members after all episodes, as if the robot lived in one of them.
        episode_posterior: (episodes, M) after each episode by itself.
        surprise: (episodes,) minus the log-density of an episode's readings under the mixture, per control step.
        noise: which noise was assumed, and where it comes from.
        noise_sensitivity: the gap, in nats per control step, if all deviations were a given factor of what they are.
    """

    estimate: Estimate
    trajectory: Estimate
    episode: Ints
    terms: Floats
    by_sensor: Mapping[str, float]
    member_gaps: Floats
    weights: Floats
    posterior: Floats
    episode_posterior: Floats
    surprise: Floats
    noise: str
    noise_sensitivity: Mapping[float, float]

    @property
    def member(self) -> int:
        """Return the member of the fibre that explains the recording best."""
        return int(self.posterior.argmax())


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
    """Estimate the gap from the densities of every recorded reading in each member and in reality.

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
        GapError: no transition, a reading that no member can have produced, weights that are negative or all 0, or
            densities without the factor 1.
    """
    if not 0 < confidence < 1:
        raise GapError(f"confidence is {confidence}: give a number between 0 and 1, such as 0.95")
    prior = _prior(weights)
    with np.errstate(divide="ignore"):
        log_weights = np.log(prior)
    found = _follow(batches, log_weights)
    if 1.0 not in found:
        raise GapError("there are no densities with the noise as it is: give batches with the factor 1.0")
    mixed = found[1.0]
    episode = mixed.episode
    sensitivity = {factor: float(of.terms.mean()) for factor, of in sorted(found.items()) if factor != 1}
    dealt = deal(episode, np.zeros_like(episode), _MOST_BLOCKS, np.random.default_rng(rng))
    low, high, more_reasons, more_notes = _interval(mixed.terms, episode, dealt, confidence)
    said = [f"noise {noise}"]
    said += [f"with {factor:g} of its deviation the gap would be {value:.3g}" for factor, value in sensitivity.items()]
    estimate = _estimate(
        mixed,
        (low, high),
        confidence,
        len(prior),
        tuple(sensors),
        (*reasons, *more_reasons),
        ("; ".join(said), *_concentration(mixed.terms), *notes, *more_notes),
    )
    total = mixed.log_likelihood.sum(axis=0) + log_weights
    each = mixed.log_likelihood + log_weights
    return PredictiveGap(
        estimate=estimate,
        trajectory=_per_episode(estimate, mixed),
        episode=episode,
        terms=mixed.terms,
        by_sensor=dict(zip(sensors, (mixed.sensors.sum(axis=0) / mixed.steps.sum()).tolist(), strict=True)),
        member_gaps=_of_members(mixed, episode, dealt, confidence),
        weights=prior,
        posterior=np.exp(total - logsumexp(total)),
        episode_posterior=np.exp(each - logsumexp(each, axis=1, keepdims=True)),
        surprise=-mixed.log_mixture / mixed.steps,
        noise=noise,
        noise_sensitivity=sensitivity,
    )


def _prior(weights: Sequence[float] | Floats) -> Floats:
    """Return (M,) the weights of the members, adding up to 1."""
    prior = np.asarray(weights, dtype=float)
    if not (np.isfinite(prior).all() and (prior >= 0).all() and prior.sum() > 0):
        raise GapError(f"weights must be finite, not negative and not all 0: {prior.tolist()}")
    return np.asarray(prior / prior.sum())


def _follow(batches: Iterable[Mapping[float, Densities]], log_weights: Floats) -> dict[float, MixtureTerms]:
    """Return the terms of all episodes, by the factor of the noise's deviations."""
    found: dict[float, list[MixtureTerms]] = {}
    for batch in batches:
        for factor, densities in batch.items():
            parts = found.setdefault(factor, [])
            parts.append(mixture_terms(densities, log_weights, sum(len(part.steps) for part in parts)))
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
        sensors: (episodes, d) the log ratio of an episode's readings of each sensor by itself.
    """

    terms: Floats
    ratios: Floats
    log_likelihood: Floats
    log_mixture: Floats
    log_real: Floats
    steps: Floats
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
    by_sensor = log_weights[:, None, None] + densities.sensor_log_sim
    return MixtureTerms(
        terms,
        ratios,
        likelihood,
        np.asarray(logsumexp(log_weights + likelihood, axis=1)),
        np.array([densities.log_real[rows].sum() for rows in episodes]),
        np.array([float(len(rows)) for rows in episodes]),
        densities.sensor_log_real - np.asarray(logsumexp(by_sensor, axis=0)),
    )


def _interval(
    terms: Floats, episode: Ints, blocks: Blocks, confidence: float
) -> tuple[float, float, list[str], list[str]]:
    """Compute the jackknife's t interval over whole episodes, with reasons for doubt and notes."""
    if len(terms) < 2:
        return -np.inf, np.inf, ["a single transition says nothing about the spread: no interval"], []
    low, high = _ends(np.bincount(blocks.label, weights=terms, minlength=blocks.count), blocks, confidence)
    if episode[-1] > 0:
        return low, high, [], []
    return low, high, [], ["a single real episode, cut into stretches of time: the spread between episodes is not seen"]


def _ends(sums: NDArray[Any], blocks: Blocks, confidence: float) -> tuple[float, float]:
    """Compute the jackknife's t interval of a mean over transitions, from its sum in each block."""
    n = int(blocks.sizes.sum())
    mean = float(sums.sum()) / n
    without = (sums.sum() - sums) / (n - blocks.sizes)
    return jackknife(mean, [LeftOut(blocks.sizes, without)]).interval(mean, confidence, 0.0)


def _of_members(mixed: MixtureTerms, episode: Ints, blocks: Blocks, confidence: float) -> Floats:
    """Compute (M, 3) the gap of each member by itself with its interval.

    What a member adds to the mixture's gap, E[ln p_sim - ln p_e], is taken from the same readings. So noise that both
    share drops out, one member by itself has the gap of the mixture, and T gap <= T gap_e + ln 1/w_e holds of the
    estimates as it does of the truth. A single episode says nothing about how it spreads between episodes.
    """
    own = np.bincount(episode, weights=mixed.terms)
    sums = own[:, None] + mixed.log_mixture[:, None] - mixed.log_likelihood
    raw = sums.sum(axis=0) / mixed.steps.sum()
    found = np.column_stack([raw, np.zeros(len(raw)), np.full(len(raw), np.inf)])
    if len(own) > 1:
        block = blocks.label[np.searchsorted(episode, np.arange(len(own)))]
        for member in np.flatnonzero(np.isfinite(raw)):
            in_blocks = np.bincount(block, weights=sums[:, member], minlength=blocks.count)
            found[member, 1:] = _ends(in_blocks, blocks, confidence)
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


def _estimate(
    mixed: MixtureTerms,
    interval: tuple[float, float],
    confidence: float,
    n_members: int,
    sensors: tuple[str, ...],
    reasons: tuple[str, ...],
    notes: tuple[str, ...],
) -> Estimate:
    """Return the mean of the terms as an estimate, cut off at 0."""
    raw, n = float(mixed.terms.mean()), len(mixed.terms)
    low, high = interval
    if high < 0:
        reasons = (*reasons, "the whole interval lies below 0, where no KL does: the value 0 is no finding")
        low, high = 0.0, np.inf
    return Estimate(
        value=max(raw, 0.0),
        low=max(low, 0.0),
        high=max(high, 0.0),
        raw=raw,
        plug_in=float(mixed.ratios.mean()),
        confidence=confidence,
        method="predictive",
        level="transition",
        units=UNITS["transition"],
        n_real=n,
        n_sim=n * n_members,
        episodes_real=len(mixed.steps),
        episodes_sim=0,
        n_members=n_members,
        sensors=sensors,
        reliable=not reasons,
        why=(*reasons, *notes),
    )


def _per_episode(estimate: Estimate, mixed: MixtureTerms) -> Estimate:
    """Compute the estimate of whole trajectories: the mean of the episodes' sums, with Student's t over episodes."""
    ends = np.cumsum(mixed.steps).astype(np.intp)
    sums = np.add.reduceat(mixed.terms, np.concatenate([[0], ends[:-1]]))
    raw, half = float(sums.mean()), np.inf
    if len(sums) > 1:
        width = stats.t.ppf(0.5 + estimate.confidence / 2, len(sums) - 1)
        half = float(width * sums.std(ddof=1) / np.sqrt(len(sums)))
    ratios = float((mixed.log_real - mixed.log_mixture).mean())
    high = raw + half
    return replace(
        estimate,
        value=max(raw, 0.0),
        low=max(raw - half, 0.0) if high >= 0 else 0.0,
        high=high if high >= 0 else np.inf,
        raw=raw,
        plug_in=ratios,
        level="trajectory",
        units=UNITS["trajectory"],
    )
