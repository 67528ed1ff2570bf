"""KL(P_real || P_sim) from samples, by any method and at any level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError, unknown_name
from sim2real_cat.gaps.classifier import estimate_by_classifier
from sim2real_cat.gaps.estimate import Estimate, MethodResult, MethodSettings, Null, SampleMethod, Variant
from sim2real_cat.gaps.gaussian import corrected_gap, estimate_by_gaussians, examined_estimate, gaps_of_deals
from sim2real_cat.gaps.gaussian_kl import log_ratios
from sim2real_cat.gaps.knn import estimate_by_neighbours
from sim2real_cat.gaps.null import SPLITS, OfDeals, estimate_null
from sim2real_cat.gaps.resampling import cut_single_episodes
from sim2real_cat.gaps.samples import UNITS, Cloud, Level, Observations, Samples, clouds, comparable_samples
from sim2real_cat.linear_algebra import on_one_thread

Estimator: TypeAlias = Callable[[Cloud, Cloud, Mapping[int, float], MethodSettings, np.random.Generator], MethodResult]
"""A function of real and simulated points, the weights of the members, the settings and a generator."""

METHODS: dict[SampleMethod, Estimator] = {
    "gaussian": estimate_by_gaussians,
    "knn": estimate_by_neighbours,
    "ratio": estimate_by_classifier,
}
"""The estimator of each method."""

OF_DEALS: dict[SampleMethod, OfDeals] = {"gaussian": gaps_of_deals}
"""A statistic of methods that measure many deals of episodes against one simulated side at little cost."""

_NEGATIVE = (
    "the whole interval lies below 0, where no KL does: the simulated mixture fits the real samples better than the "
    "model of the real samples itself, so the value 0 is no finding"
)
_MARKOV = "first-order Markov: the first observation's gap plus so many transitions' as an episode has"


def gap(
    real: Observations,
    sim: Observations,
    *,
    method: SampleMethod | None = None,
    level: Level | None = None,
    weights: Mapping[int, float] | ArrayLike | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    neighbours: int = 5,
    variant: Variant | None = None,
    theiler: int | None = None,
    dither: bool = True,
    splits: int | None = None,
) -> Estimate:
    """Estimate KL(P_real || P_sim) in nats, with an interval that respects episodes.

    P_sim is the mixture over the fibre, Σ_e w_e P_e. At the level "occupancy" the distributions are
    those of an observation o. At the level "transition" the gap is the one-step predictive
    E_real KL(P_real(o'|o) || P_sim(o'|o)), by the chain rule the KL of the joint (o, o') minus that of o.
    The policy acts on the observation alone and is the same on both sides, so the action given o adds
    nothing. At the level "trajectory" it is the KL of whole episodes under the first-order Markov assumption:
    that of the first observation plus the mean number of transitions times the gap of one.

    The plug-in estimate of finite samples is biased, and every method takes off what it can of its bias. Where the
    samples have no finite divergence that can be told, because real ones lie where no simulated one does, `high` is
    infinite, the estimate unreliable, and `value` no more than what these few samples show.

    Args:
        real: Independent rows (n, d) or (n,), episodes as a list of (T_i, d), or an object that has
            `episodes`, `member_index`, `sensors` and `control_period`.
        sim: Likewise; its members are the fibre.
        method: "gaussian" compares moment-matched Gaussians, one per member; "knn" nearest-neighbour
            distances, which assume no shape and see less of it the more sensors there are; "ratio" classifiers that
            tell the sides apart, which assume no shape and stand more sensors (the extra "gaps"). By default "gaussian"
            unless single sensors or the kurtosis speak against it, else "knn"; `why` says which and why.
        level: "occupancy", "transition" or "trajectory"; by default "transition" where both sides have episodes of
            at least 2 steps, else "occupancy".
        weights: Weight of each member: a mapping, or one number each in the order of the sorted members; equal
            by default, any positive total.
        confidence: Nominal coverage of the interval, between 0 and 1.
        rng: Deals episodes into blocks where there are more than a method leaves out one by one, and draws what a
            method draws. The default seed 0 makes the result reproducible.
        neighbours: k of the method "knn".
        variant: The way in which the method "knn" reduces its bias. "anchored" takes off its error on
            Gaussians of the same moments, "extrapolated" extrapolates to no neighbours, "reduced" and "plain" are
            the two of Wang, Kulkarni and Verdú 2009. By default "anchored", or "extrapolated" where a side or a
            member has too few points for a covariance.
        theiler: For the method "knn", the steps before and after a real point within its episode that are not
            counted as neighbours. By default its whole block of episodes does not count.
        dither: For the method "knn", whether quantised sensors get uniform noise of their quantum's width.
        splits: How often each side is split in halves and compared with itself, for `Estimate.null`; 0 for no null.
            By default 4 for "gaussian", whose null takes about half as long as the estimate, and 0 for other
            methods: they are called 2 splits + 40 times more, with half of the simulated side each.

    Returns:
        The estimate.

    Raises:
        GapError: Empty, non-finite or differently shaped input, sensors or control periods that differ
            between the sides, samples that have no density, or an argument that is not valid.
    """
    if method is not None and method not in METHODS:
        raise GapError(unknown_name("method", method, METHODS))
    if splits is not None and splits < 0:
        raise GapError(f"splits is {splits}: give a number of A/A comparisons, or 0 for none")
    if not 0 < confidence < 1:
        raise GapError(f"confidence is {confidence}: give a number between 0 and 1, such as 0.95")
    generator = np.random.default_rng(rng)
    settings = MethodSettings(confidence, neighbours, variant, theiler, dither, splits)
    if level == "trajectory":
        # Two gaps that are added up have no A/A in common.
        return _whole_episodes(real, sim, method, weights, replace(settings, splits=0), generator)
    return _at_level(real, sim, method, level, weights, settings, generator)


def pointwise(
    real: Observations,
    sim: Observations,
    *,
    level: Level | None = None,
    weights: Mapping[int, float] | ArrayLike | None = None,
) -> list[Floats]:
    """Compute the terms whose mean is the plug-in estimate of the method "gaussian", one for each real point.

    At the level "transition" a term is ln P_real(o'|o) - ln P_sim(o'|o) under the fitted Gaussians, in
    nats per control step; single terms may be negative.

    Args:
        real: As for `gap`.
        sim: As for `gap`.
        level: As for `gap`.
        weights: As for `gap`.

    Returns:
        One array per real episode: (T_i - 1,) at the level "transition", (T_i,) at "occupancy".

    Raises:
        GapError: As for `gap`.
    """
    real_cloud, sim_cloud, member_weights, _ = clouds(real, sim, level, weights)
    with on_one_thread():
        ratios = log_ratios(real_cloud, sim_cloud, member_weights)
    counts = np.bincount(real_cloud.episode, minlength=real_cloud.n_episodes)
    return np.split(ratios, np.cumsum(counts)[:-1])


def _at_level(
    real: Observations,
    sim: Observations,
    method: SampleMethod | None,
    level: Level | None,
    weights: Mapping[int, float] | ArrayLike | None,
    settings: MethodSettings,
    generator: np.random.Generator,
) -> Estimate:
    """Estimate the gap of observations or of transitions."""
    real_cloud, sim_cloud, member_weights, notes = clouds(real, sim, level, weights)
    shuffles = generator.spawn(1)[0]
    with on_one_thread():
        real_cut, sim_cut = cut_single_episodes(real_cloud), cut_single_episodes(sim_cloud)
        choice: tuple[str, ...] = ()
        if method is None:
            method, because, found = _recommended(real_cut.cloud, sim_cut.cloud, member_weights, settings, generator)
            choice = (f"method '{method}' was chosen: {because}",)
        else:
            found = METHODS[method](real_cut.cloud, sim_cut.cloud, member_weights, settings, generator)
        null = _null(real_cloud, sim_cloud, member_weights, method, settings, shuffles)
    reasons = (*real_cut.reasons, *sim_cut.reasons)
    low, high = found.low, found.high
    if high < 0:
        reasons = (*reasons, _NEGATIVE)
    if reasons:
        low, high = 0.0, np.inf
    return Estimate(
        value=max(found.raw, 0.0),
        low=max(low, 0.0),
        high=max(high, 0.0),
        raw=found.raw,
        plug_in=found.plug_in,
        confidence=settings.confidence,
        method=method,
        level=real_cloud.level,
        units=UNITS[real_cloud.level],
        n_real=len(real_cloud.points),
        n_sim=len(sim_cloud.points),
        episodes_real=len(np.unique(real_cloud.episode)),
        episodes_sim=len(np.unique(sim_cloud.episode)),
        n_members=len(member_weights),
        sensors=real_cloud.sensors,
        reliable=not (reasons or found.reasons),
        why=(*reasons, *found.reasons, *notes, *real_cut.notes, *sim_cut.notes, *found.notes, *choice),
        null=null,
    )


def _recommended(
    real: Cloud, sim: Cloud, weights: Mapping[int, float], settings: MethodSettings, rng: np.random.Generator
) -> tuple[SampleMethod, str, MethodResult]:
    """Estimate the gap by the method that errs least on samples like these.

    Gaussians need the fewest samples and have no bias where the samples are like them. Where something speaks against
    them, nearest neighbours see the shape. Not all of it in many dimensions: they say so where it shows.

    Returns:
        The name of the method, the reason in a clause, and the estimate, which is the same as if the method were asked
        for by name.
    """
    again = deepcopy(rng)
    found, against = examined_estimate(real, sim, weights, settings, rng)
    if against:
        return "knn", against[0], estimate_by_neighbours(real, sim, weights, settings, again)
    return "gaussian", "neither a direction nor the kurtosis speaks against Gaussians", found


def _null(
    real: Cloud,
    sim: Cloud,
    weights: Mapping[int, float],
    method: SampleMethod,
    settings: MethodSettings,
    rng: np.random.Generator,
) -> Null | None:
    """Compare each side with itself where that was asked for or costs little."""
    splits = settings.splits if settings.splits is not None else SPLITS if method in OF_DEALS else 0

    def raw(one: Cloud, other: Cloud, weights_of_other: Mapping[int, float]) -> float:
        if method == "gaussian":
            return corrected_gap(one, other, weights_of_other, rng)
        return METHODS[method](one, other, weights_of_other, settings, rng).raw

    return estimate_null(real, sim, weights, raw, splits, rng, OF_DEALS.get(method)) if splits else None


def _whole_episodes(
    real: Observations,
    sim: Observations,
    method: SampleMethod | None,
    weights: Mapping[int, float] | ArrayLike | None,
    settings: MethodSettings,
    rng: np.random.Generator,
) -> Estimate:
    """Estimate the gap at the level "trajectory", from first observations and transitions."""
    transition = _at_level(real, sim, method, "transition", weights, settings, rng)
    real_samples, sim_samples = comparable_samples(real, sim)
    first = _FirstObservations.of(real_samples), _FirstObservations.of(sim_samples)
    initial = None
    starts = np.concatenate([*first[0].episodes, *first[1].episodes])
    if (starts != starts[0]).any():
        try:
            initial = _at_level(*first, method, "occupancy", weights, settings, rng)
        except GapError as error:
            raise GapError(f"first observations: {error}") from None
    return _along_trajectory(initial, transition, transition.n_real / len(real_samples.member_index))


@dataclass(frozen=True)
class _FirstObservations:
    """The first observation of every episode, as `gap` reads episodes.

    Attributes:
        episodes: One array (1, d) per episode.
        member_index: (n_episodes,) the member of each.
        sensors: The d names.
        control_period: Seconds, meaningless here.
    """

    episodes: list[Floats]
    member_index: Ints
    sensors: tuple[str, ...]
    control_period: float = 1.0

    @classmethod
    def of(cls, samples: Samples) -> _FirstObservations:
        """Take the first observations of one side."""
        first = np.searchsorted(samples.episode, np.arange(len(samples.member_index)))
        return cls(list(samples.points[first][:, None]), samples.member_index, samples.sensors)


def _along_trajectory(initial: Estimate | None, transition: Estimate, steps: float) -> Estimate:
    """Compute the KL of whole episodes in nats, under the first-order Markov assumption.

    KL(P_real(o_0..o_T) || P_sim(o_0..o_T)) = KL of o_0 + Σ_t E_real KL(P_real(o_t+1|o_t) || P_sim(o_t+1|o_t)). The two
    intervals are added end by end, as if both erred to the same side: they come from the same episodes.

    Args:
        initial: The gap of the first observations; None where it is 0, all being the same.
        transition: The gap of the transitions.
        steps: Transitions of a real episode, on average.

    Returns:
        The sum, in nats per episode.
    """
    parts = [(transition, steps)] if initial is None else [(initial, 1.0), (transition, steps)]
    raw = sum(times * part.raw for part, times in parts)
    low = raw - sum(times * (part.raw - part.low) for part, times in parts)
    high = raw + sum(times * (part.high - part.raw) for part, times in parts)
    start = "the first observation is the same in all episodes" if initial is None else f"first {initial.raw:.3f} nats"
    named = (("first observations", initial), ("transitions", transition))
    doubts = [f"{name}: {said}" for name, part in named if part is not None for said in part.why]
    return replace(
        transition,
        value=max(raw, 0.0),
        low=max(low, 0.0),
        high=max(high, 0.0),
        raw=raw,
        plug_in=sum(times * part.plug_in for part, times in parts),
        level="trajectory",
        units=UNITS["trajectory"],
        reliable=all(part.reliable for part, _ in parts),
        why=(*doubts, f"{_MARKOV}: {start}, {steps:.1f} transitions of {transition.raw:.4f} nats"),
    )
