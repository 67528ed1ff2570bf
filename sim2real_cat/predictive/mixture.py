"""The mixture over the fibre along an episode: which member it seems to be, and how surprising each reading is.

A member's weight at step t is what its trajectory has made of it so far, ω_e(t) ∝ w_e Π_{s<t} p_e(o_s+1|h,a), so the
mixture predicts Σ_e ω_e(t) p_e(o'|h,a). Everything stays in logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError
from sim2real_cat.posteriors.densities import Densities


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
        """(N,) the episode of each transition."""
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
