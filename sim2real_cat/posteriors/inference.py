"""The posterior over the worlds of a randomization: which of them could have made a recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError, listed
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.posteriors.discrepancy import SensorErrors, doubts, sensor_errors, tempered
from sim2real_cat.posteriors.expectation import HiddenPredictor, Predictor, first_states
from sim2real_cat.posteriors.likelihood import GROWTH_STEPS, FilteredLikelihood, RecordingLikelihood, Score
from sim2real_cat.posteriors.modes import (
    LOOKS,
    Climb,
    Explored,
    Mode,
    explored,
    log_posterior_at,
    sampled_ends,
    t_draws,
)
from sim2real_cat.posteriors.prior import WorldPrior
from sim2real_cat.posteriors.readings import require_readings
from sim2real_cat.posteriors.sampling import ENOUGH, draw
from sim2real_cat.posteriors.worlds_posterior import EpisodeDrift, Posterior
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.world import World

States = Literal["recorded", "hidden"]
"""The states that worlds know: every recorded one, or the first one alone."""

_PRIOR_DRAWS = 32
"""Draws from the prior among which the starts are chosen."""
_DRAWS = 128
"""Draws of a posterior."""
_END = 3.5
"""A coordinate beyond which a parameter lies at the end of its range: 5e-4 of the prior lie beyond."""
_WORTH = 30.0
"""Nats below the best combination of discrete values, up to which another one is climbed."""
_MISFIT = 5.0
"""Deviations of the squared errors above their expectation from which no world of the randomization fits."""
_PROCESS = (0.3, 0.1, 0.03, 0.0)
"""Process noise at which hidden states are filtered, in turn: with much of it the likelihood is smooth far away."""
_MORE_PROCESS = (1.0, 3.0, 10.0, 30.0)
"""Process noise that is tried where the most of the above explains the readings best."""
_HOPELESS = 30.0
"""Nats below the best process noise from which less of it is not tried."""
_WORTHLESS = 0.05
"""Nats a step by which less process noise is to explain the readings better: of the noise that is as good, the most is
taken, as it makes the likelihood smooth."""
_BETTER = 3.0
"""Nats by which the gains of another world are to be better to take them anew once more."""
_SURPRISED = 2.0
"""Deviations of the squared innovations above their expectation from which process noise between two is tried."""
_FILTERS = 4
"""The most worlds that are filtered on the way to a mode, for each process noise."""
_CLIMB = 3
"""The most steps of a climb with the gains of one of them."""
_NEAR = 0.5
"""The square of a move, in deviations of the posterior, after which gains are not taken anew."""
_ROUGH = 0.01
"""Nats a step by which a likelihood may change over a hundredth of a deviation against what its slope says."""
_HUNDREDTH = 0.01
_LEAST_FALL = 0.25
"""The least share of the fall that a normal approximation says, from which its information is taken for right."""
_TEMPERED = 4
"""The most posteriors with powers that are taken from the errors of the one before."""
_SAME_POWER = 0.2
"""The change of the logarithm of a power that is not worth another posterior."""
_DRIFT_DRAWS = 1999
"""Draws with which the differences of episodes are compared."""
_DIRECTIONS = 1
"""Directions in which that is measured."""


def posterior(
    world: World,
    real: Trajectories,
    *,
    randomization: Randomization,
    states: States = "recorded",
    state_deviation: float | Sequence[float] = 0.0,
    discrepancy: bool = False,
    draws: int = _DRAWS,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> Posterior:
    """Compute the posterior over the worlds of a randomization: the worlds that could have made a recording.

    The likelihood is that of every recorded transition, one control step ahead from its recorded state. Its modes are
    climbed in standard normal coordinates (`WorldPrior`) from the nominal world and the best draws of the prior; the
    normal approximation at each (Laplace's) is refined by importance sampling.

    Args:
        world: the simulated world, with the noise of its sensors.
        real: the recording, with states; episodes that diverged are left out.
        randomization: the prior.
        states: "recorded" sets worlds to every recorded state. "hidden" takes the first one alone, with its error, and
            every world follows the readings by a Kalman filter (`sim2real_cat.posteriors.kalman`): for recordings whose
            states have errors, as those of all robots. Its process noise is the least with which the readings are
            explained; where the likelihood is rough even so, as that of chaotic motion, the posterior is not reliable.
        state_deviation: standard deviation of the error of the recorded states: one number, two for positions and
            velocities, or one for each of the 2 nv coordinates. With hidden states and a recording that has none, the
            first readings tell the first states.
        discrepancy: whether the worlds may be wrong. Where the errors of the best one are clearly no independent noise,
            or larger than it (`sim2real_cat.posteriors.discrepancy`), a sensor's likelihood is raised to a power below
            1, one over the factor by which such errors widen the variance of a mean. For exact recorded states.
        draws: how many draws refine the approximation.
        rng: a generator, or a seed for one.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: no transition, a sensor without noise, no randomization, no draws, or a recording to which every
            world of the prior that was tried gives probability zero; with hidden states, noise that is not Gaussian,
            first states without error, or none and first readings that leave it open; a
            discrepancy where states are hidden or have errors.
        WorldError: the recording does not fit the world; with hidden states, a sensor that is late.
    """
    if states not in get_args(States):
        raise GapError(f"states is '{states}': give 'recorded' or 'hidden'")
    if discrepancy and (states == "hidden" or np.any(state_deviation)):
        raise GapError("a discrepancy is found for exact recorded states: leave out discrepancy, or state_deviation")
    if draws < 2:
        raise GapError(f"a posterior needs draws, at least two, got {draws}")
    generator = np.random.default_rng(rng)
    prior = WorldPrior.of(randomization, world)
    recording = real.select(np.flatnonzero(real.kept & (real.lengths > 0)))
    if not len(recording):
        raise GapError("there is no transition in the recording: give episodes of at least one control step")
    require_readings(world, recording)
    middle = prior.ensemble(np.zeros((1, prior.dimension)))
    kind = HiddenPredictor if states == "hidden" else Predictor
    kind(world, middle, 0.0, threads).require_noise(recording.sensors)
    if states == "hidden":
        first = first_states(world, recording, state_deviation, threads)
        with on_one_thread():
            hidden = HiddenPredictor(world, middle, first.deviation.tolist(), threads)
            found = hidden_posterior_of(prior, hidden, first.recording, draws, generator)
        return replace(found, notes=(*found.notes, *first.notes))
    predictor = Predictor(world, middle, state_deviation, threads)
    with on_one_thread():
        likelihood = RecordingLikelihood(predictor, recording)
        found = posterior_of(prior, likelihood, draws, generator)
        errors = errors_of(found.best, likelihood, generator.spawn(1)[0])
        if discrepancy:
            found, likelihood, errors = _with_discrepancy(found, likelihood, errors, draws, generator)
        else:
            found = replace(found, reasons=(*found.reasons, *doubts(errors)))
        found = replace(found, errors=errors)
        target = WorldLikelihood(prior, found.modes[0][0], likelihood)
        return replace(found, drift=drift_of(target, found.mode, generator))


@dataclass(frozen=True, eq=False)
class WorldLikelihood:
    """The likelihood of a recording in the coordinates of a prior, for one combination of discrete values.

    Attributes:
        prior: the prior.
        choice: the row of the combination in `prior.choices`.
        likelihood: of the recording.
    """

    prior: WorldPrior
    choice: int
    likelihood: RecordingLikelihood | FilteredLikelihood

    @property
    def dimension(self) -> int:
        """Return k."""
        return self.prior.dimension

    @property
    def readings(self) -> int:
        """Return how many readings there are."""
        return self.likelihood.readings

    @property
    def steps(self) -> int:
        """Return how many transitions there are."""
        return self.likelihood.steps

    def score(self, z: Floats, rows: Ints | None = None) -> Score:
        """Compute the likelihood at coordinates (n, k), or the errors of some transitions alone."""
        return self.likelihood.score(self.prior.ensemble(z, self.choice), rows)

    def linearised(
        self, z: Floats, steps: Floats, tolerated: float | None = None, rows: Ints | None = None
    ) -> tuple[Score, Floats]:
        """Compute the likelihood at coordinates (1 + k or 1 + 2k, k), and the information (k, k) at the first."""
        return self.likelihood.linearised(self.prior.ensemble(z, self.choice), steps, tolerated, rows)

    def bend(self, z: Floats, slope: Floats) -> Floats:
        """Compute what a slope (k,) of the log-likelihood adds to the information, as the parameters are bent."""
        return self.prior.bend(z, slope)


def posterior_of(
    prior: WorldPrior,
    likelihood: RecordingLikelihood,
    draws: int,
    rng: np.random.Generator,
    near: Floats | None = None,
) -> Posterior:
    """Compute the posterior of a prior and a likelihood.

    Args:
        prior: the prior.
        likelihood: of the recording.
        draws: how many draws refine the approximation.
        rng: a generator.
        near: (k,) a start that is better than those of the prior, such as the mode of a longer recording.

    Raises:
        GapError: every world that was tried gives the recording probability zero.
    """
    targets = [WorldLikelihood(prior, choice, likelihood) for choice in range(len(prior.chances))]
    ends = _ends(targets, rng) if near is None else [(choice, near) for choice in range(len(targets))]
    found = [(choice, explored(targets[choice], z, rng)) for choice, z in ends]
    found = _distinct([(choice, one) for choice, one in found if np.isfinite(one.mode.log_evidence)])
    if not found:
        raise GapError(_impossible(targets, rng))
    log_chance = np.array([one.mode.log_evidence + np.log(prior.chances[choice]) for choice, one in found])
    order = np.argsort(-log_chance, kind="stable")
    modes = [found[i] for i in order]
    return _refined(targets, modes, np.exp(log_chance[order] - logsumexp(log_chance)), draws, rng)


def errors_of(world: Ensemble, likelihood: RecordingLikelihood, rng: np.random.Generator) -> Mapping[str, SensorErrors]:
    """Test the errors that one world leaves, sensor by sensor.

    Sensors whose noise is not plainly Gaussian are left out: drifting noise lasts, and is modelled so.
    """
    recording = likelihood.recording
    episode, step = recording.transitions()
    known = np.hstack([of[episode, step] for of in (recording.qpos, recording.qvel, recording.actions)])
    plain = likelihood.plain(world)
    found = sensor_errors(likelihood.errors(world)[0][:, plain], known, episode, rng)
    names = [name for name, one in zip(recording.sensors, plain, strict=True) if one]
    return dict(zip(names, found, strict=True))


def _with_discrepancy(
    found: Posterior,
    likelihood: RecordingLikelihood,
    errors: Mapping[str, SensorErrors],
    draws: int,
    rng: np.random.Generator,
) -> tuple[Posterior, RecordingLikelihood, Mapping[str, SensorErrors]]:
    """Raise sensors' likelihoods to the powers that their errors allow, until these stay as they are."""
    powers = likelihood.powers
    for _ in range(_TEMPERED):
        before = powers
        powers = np.array([errors[name].power if name in errors else 1.0 for name in likelihood.recording.sensors])
        if np.abs(np.log(powers / before)).max() < _SAME_POWER:
            break
        likelihood = RecordingLikelihood(likelihood.predictor, likelihood.recording, powers)
        found = posterior_of(found.prior, likelihood, draws, rng, near=found.mode.z)
        errors = errors_of(found.best, likelihood, rng.spawn(1)[0])
    notes = tempered(likelihood.recording.sensors, likelihood.powers)
    return replace(found, notes=(*found.notes, *notes)), likelihood, errors


def _impossible(targets: Sequence[WorldLikelihood], rng: np.random.Generator) -> str:
    """Return the message for a recording that every world gives probability zero."""
    prior, likelihood = targets[0].prior, targets[0].likelihood
    which = {
        likelihood.excluded(prior.ensemble(rng.standard_normal((_PRIOR_DRAWS, prior.dimension)), choice))
        for choice in range(len(targets))
    }
    said = f": {which.pop()}" if len(which) == 1 and "" not in which else ""
    return (
        f"every world of the randomization that was tried gives the recording probability zero{said}; are units and "
        "sensors right? widen the randomization or model the sensor's noise"
    )


def _ends(targets: Sequence[WorldLikelihood], rng: np.random.Generator) -> list[tuple[int, Floats]]:
    """Return the places from which to climb to modes, with the combination of discrete values of each."""
    prior = targets[0].prior
    found = []
    for choice, target in enumerate(targets):
        drawn = np.concatenate(
            [
                np.zeros((1, prior.dimension)),
                rng.standard_normal((_PRIOR_DRAWS if prior.dimension else 0, prior.dimension)),
            ]
        )
        found += [(choice, end) for end in sampled_ends(target, drawn, rng)]
    least = min((end.value / end.share for _, end in found), default=0.0)
    return [(choice, end.z) for choice, end in found if end.value / end.share - least <= _WORTH]


def _distinct(found: list[tuple[int, Explored]]) -> list[tuple[int, Explored]]:
    """Leave out a mode that lies within two deviations of a better one with the same discrete values."""
    kept: list[tuple[int, Explored]] = []
    for choice, one in sorted(found, key=lambda entry: -entry[1].mode.log_evidence):
        z = one.mode.z
        near = [(z - other.mode.z) @ other.mode.precision @ (z - other.mode.z) for of, other in kept if of == choice]
        if all(square > 4 * len(z) for square in near):
            kept.append((choice, one))
    return kept


def _refined(
    targets: Sequence[WorldLikelihood],
    modes: Sequence[tuple[int, Explored]],
    chances: Floats,
    draws: int,
    rng: np.random.Generator,
) -> Posterior:
    """Draw from the approximation, combination by combination, and join the draws."""
    prior, likelihood = targets[0].prior, targets[0].likelihood
    found, choices = [], list(dict.fromkeys(choice for choice, _ in modes))
    for choice in choices:
        own = [(float(chance), one) for chance, (of, one) in zip(chances, modes, strict=True) if of == choice]
        n = max(round(draws * sum(chance for chance, _ in own)), 2)
        found.append(draw(targets[choice], own, n, rng))
    log_totals = np.array([of.log_total for of in found]) + np.log(prior.chances[choices])
    total = float(logsumexp(log_totals))
    parts = np.exp(log_totals - total) if np.isfinite(total) else np.full(len(found), 1.0 / len(found))
    weights = np.concatenate([part * of.weights for part, of in zip(parts, found, strict=True)])
    effective = float(parts @ np.array([of.effective for of in found]))
    z = np.concatenate([of.z for of in found])
    of_draws = np.repeat(choices, [len(of.z) for of in found])
    best_choice, best = modes[0][0], modes[0][1].mode
    by_sensor = (
        targets[best_choice].likelihood.by_sensor(prior.ensemble(best.z[None], best_choice))[0].sum(axis=0)
        / likelihood.steps
    )
    misfit = dict(zip(likelihood.recording.sensors, by_sensor.tolist(), strict=True))
    reasons = _misfits(misfit, best, likelihood.steps)
    notes = []
    if any(of.moved for of in found):
        notes.append("the normal approximation is poor, so its draws were moved to the posterior by tempering")
    if effective < ENOUGH:
        reasons.append(
            f"only {effective:.1f} of {len(z)} draws count: the posterior has another shape than was found at its "
            "modes; ask for more draws"
        )
    notes += _places(prior, best, likelihood.readings)
    laplace = float(logsumexp([one.mode.log_evidence + np.log(prior.chances[choice]) for choice, one in modes]))
    return Posterior(
        prior,
        tuple((choice, one.mode) for choice, one in modes),
        chances,
        z,
        of_draws,
        weights,
        total if effective >= ENOUGH else laplace,
        effective / len(z),
        misfit,
        likelihood.steps,
        tuple(reasons),
        tuple(notes),
    )


def _misfits(misfit: Mapping[str, float], mode: Mode, steps: int) -> list[str]:
    """Return a reason for doubt where not even the best world explains the readings as their noise allows."""
    n = steps * len(misfit)
    if (mode.square - n) / np.sqrt(2.0 * n) <= _MISFIT:
        return []
    worst = max(misfit, key=lambda name: misfit[name])
    return [
        f"no world of the randomization explains the readings: their squared errors are {mode.square / n:.3g} times "
        f"what the noise allows, those of sensor '{worst}' {misfit[worst]:.3g} times; the intervals are of worlds that "
        "are wrong"
    ]


def _places(prior: WorldPrior, mode: Mode, readings: int) -> list[str]:
    """Return notes on parameters at the ends of their ranges, and on directions that are not seen."""
    notes = []
    names = [prior.parameters[column] for column in prior.continuous]
    ends = [name for name, at in zip(names, mode.z, strict=True) if abs(at) > _END]
    if ends:
        notes.append(f"at the end of their ranges: {listed(ends)}")
    if len(names) > readings:
        notes.append(f"{readings} readings are fewer than {len(names)} parameters")
    unseen = int((np.linalg.eigvalsh(mode.information) < 1).sum()) if len(names) else 0
    if unseen:
        notes.append(f"{unseen} of {len(names)} directions are not seen: there the posterior is the prior")
    return notes


@dataclass(frozen=True, eq=False)
class _Place:
    """A place to which a climb has come with some process noise, and the likelihood with its world filtered.

    Attributes:
        target: the likelihood.
        z: (k,) coordinates of the world that is filtered.
        value: ln p(readings | z) - |z|²/2 by that filter.
    """

    target: WorldLikelihood
    z: Floats
    value: float

    @property
    def surprise(self) -> float:
        """Return by how many deviations the squared innovations are more than expected."""
        assert isinstance(self.target.likelihood, FilteredLikelihood)
        n = self.target.readings
        return float((self.target.likelihood.filtered().square.sum() - n) / math.sqrt(2.0 * n))


def hidden_posterior_of(
    prior: WorldPrior,
    predictor: HiddenPredictor,
    recording: Trajectories,
    draws: int,
    rng: np.random.Generator,
) -> Posterior:
    """Compute the posterior of a prior and of readings, where the first state alone is known, with an error.

    From much process noise to none, a mode is climbed on the likelihood of innovations with the gains of one world,
    and these are taken anew where it led to. Then the process noise is chosen: the most that explains the readings
    nearly as well as any.

    Raises:
        GapError: a first state without error, or every world that was tried gives the recording probability zero.
    """
    if not predictor.uncertain:
        raise GapError(
            "the first state has no error, and process noise is measured by it: give state_deviation, or "
            "states='recorded' where all states are exact"
        )
    found: dict[float, list[_Place]] = {}
    here = [_first(prior, choice, predictor, recording, rng) for choice in range(len(prior.chances))]
    for process in _PROCESS:
        here = found[process] = [_climbed(place, process) for place in here]
        if _total(here) < max(map(_total, found.values())) - _HOPELESS:
            break
    here = found[_PROCESS[0]]
    for process in _MORE_PROCESS:
        if max(found) > max(found, key=lambda level: _total(found[level])):
            break
        here = found[process] = [_climbed(place, process) for place in here]
    best = max(map(_total, found.values()))
    if not np.isfinite(best):
        raise GapError(_impossible([place.target for place in here], rng))
    tolerated = _WORTHLESS * int(recording.lengths.sum())
    process = _most(found, best - tolerated)
    above = min((level for level in found if level > process), default=0.0)
    if process > 0 and above > 0 and max(found[process], key=lambda place: place.value).surprise > _SURPRISED:
        between = math.sqrt(process * above)
        found[between] = [_climbed(place, between) for place in found[process]]
        process = _most(found, max(map(_total, found.values())) - tolerated)
    likely = [place for place in found[process] if place.value >= _total(found[process]) - _WORTH]
    return _hidden([(place.target.choice, *_settled(place, rng)) for place in likely], process, draws, rng)


def _most(found: Mapping[float, Sequence[_Place]], enough: float) -> float:
    """Return the most process noise with which readings are explained well enough."""
    return max(level for level, places in found.items() if _total(places) >= enough)


def _total(places: Sequence[_Place]) -> float:
    """Return the best log-posterior of some places, with the chance of their discrete values."""
    return max(place.value + float(np.log(place.target.prior.chances[place.target.choice])) for place in places)


def _first(
    prior: WorldPrior, choice: int, predictor: HiddenPredictor, recording: Trajectories, rng: np.random.Generator
) -> _Place:
    """Return the best of the prior's middle and some draws, by the gains of the middle."""
    k = prior.dimension
    middle = np.zeros((1, k))
    with_noise = predictor.with_process(_PROCESS[0])
    target = WorldLikelihood(prior, choice, FilteredLikelihood(with_noise, recording, prior.ensemble(middle, choice)))
    drawn = np.concatenate([middle, rng.standard_normal((_PRIOR_DRAWS if k else 0, k))])
    value = target.score(drawn).total - 0.5 * np.square(drawn).sum(axis=1)
    return _Place(target, drawn[int(value.argmax())], -np.inf)


def _climbed(start: _Place, process: float) -> _Place:
    """Climb on with some process noise; take the gains anew where that led to, as long as it is better there."""
    best, z = replace(start, value=-np.inf), start.z
    for _ in range(_FILTERS):
        place = _filtered(start.target, z, process)
        if not place.value > best.value + (_BETTER if np.isfinite(best.value) else 0.0):
            return max(best, place, key=lambda one: one.value)
        climb = Climb(place.target, z.copy())
        climb.plain(_CLIMB)
        best = replace(place, z=climb.z)
        if climb.moved(z) < _NEAR:
            return best
        z = climb.z
    return best


def _filtered(target: WorldLikelihood, z: Floats, process: float) -> _Place:
    """Filter the world at a place."""
    assert isinstance(target.likelihood, FilteredLikelihood)
    own = target.likelihood.at(target.prior.ensemble(z[None], target.choice), process)
    value = float(own.filtered().total[0] - 0.5 * z @ z)
    return _Place(replace(target, likelihood=own), z, value)


def _settled(place: _Place, rng: np.random.Generator) -> tuple[Explored, _Place]:
    """Return the mode near a place, with draws around it, and the likelihood with the mode's world filtered."""
    assert isinstance(place.target.likelihood, FilteredLikelihood)
    process = place.target.likelihood.process
    found = explored(place.target, place.z, rng)
    after = _filtered(place.target, found.mode.z, process)
    off = found.mode.z - place.z
    if off @ found.mode.precision @ off > _NEAR:
        found = explored(after.target, found.mode.z, rng)
        after = _filtered(place.target, found.mode.z, process)
    assert isinstance(after.target.likelihood, FilteredLikelihood)
    score = after.target.likelihood.filtered()
    exact = {
        "log_likelihood": float(score.total[0]),
        "by_episode": score.by_episode[0],
        "square": float(score.square[0].sum()),
    }
    found = replace(found, mode=replace(found.mode, **exact))
    if len(place.z) and _falls(after.target, found.mode) < _LEAST_FALL:
        found = _widened(found, after.target, rng)
    return found, after


def _roughness(target: WorldLikelihood, mode: Mode, rng: np.random.Generator) -> float:
    """Measure by how many nats the likelihood changes over a hundredth of a deviation against what its slope says.

    At the mode the slope is its coordinates. The filter itself is asked, as the gains of one world have no kinks.
    """
    assert isinstance(target.likelihood, FilteredLikelihood)
    step = _HUNDREDTH * rng.standard_normal((_DIRECTIONS, len(mode.z))) @ np.linalg.cholesky(mode.covariance).T
    own = target.likelihood.exact(target.prior.ensemble(mode.z + step, target.choice)) - mode.log_likelihood
    return float(np.sqrt(np.mean(np.square(own - step @ mode.z))))


def _falls(target: WorldLikelihood, mode: Mode) -> float:
    """Measure the share of the fall that the normal approximation says, over a deviation along what is seen best.

    A simulation with the gains of one world has sharper kinks than the points of a filter, so that the information from
    its differences can be too high by far.
    """
    assert isinstance(target.likelihood, FilteredLikelihood)
    width, vectors = np.linalg.eigh(mode.covariance)
    along = math.sqrt(width[0]) * vectors[:, 0]
    own = target.likelihood.exact(target.prior.ensemble(mode.z + np.array([along, -along]), target.choice))
    said = float(along @ (mode.precision - np.eye(len(along))) @ along)
    return float(2 * mode.log_likelihood - own.sum()) / max(said, 1e-300)


def _widened(found: Explored, target: WorldLikelihood, rng: np.random.Generator) -> Explored:
    """Return a mode with the information of filters around it, and draws around that."""
    assert isinstance(target.likelihood, FilteredLikelihood)
    mode, prior = found.mode, target.prior
    half = np.maximum(0.5 * np.sqrt(np.diagonal(mode.covariance)), _HUNDREDTH)
    around = np.concatenate([mode.z[None], mode.z + np.diag(half), mode.z - np.diag(half)])
    information = target.likelihood.exact_information(prior.ensemble(around, target.choice), 2 * half)
    mode = replace(mode, information=information, precision=mode.precision - mode.information + information)
    drawn = t_draws(mode, LOOKS, rng)
    return Explored(mode, drawn, log_posterior_at(target, drawn))


def _hidden(
    modes: Sequence[tuple[int, Explored, _Place]], process: float, draws: int, rng: np.random.Generator
) -> Posterior:
    """Draw around modes, and say with what process noise, and why not to rely on it."""
    prior, likelihood = modes[0][2].target.prior, modes[0][2].target.likelihood
    targets = [WorldLikelihood(prior, choice, likelihood) for choice in range(len(prior.chances))]
    for choice, _, place in modes:
        targets[choice] = place.target
    log_chance = np.array([one.mode.log_evidence + np.log(prior.chances[choice]) for choice, one, _ in modes])
    order = np.argsort(-log_chance, kind="stable").tolist()
    chances = np.exp(log_chance[order] - logsumexp(log_chance))
    found = _refined(targets, [modes[i][:2] for i in order], chances, draws, rng)
    lead = targets[found.modes[0][0]]
    assert isinstance(lead.likelihood, FilteredLikelihood)
    rough = _roughness(lead, found.mode, rng)
    reasons = [*found.reasons]
    if not rough <= _ROUGH * found.steps:
        reasons.append(
            f"the likelihood is rough: over a hundredth of a deviation it changes by {rough:.3g} nats without order. "
            f"In {GROWTH_STEPS} steps an error of the first state grows to {lead.likelihood.growth(found.best):.3g} "
            "times the noise of a reading: the motion may be chaotic"
        )
    notes = ["states are hidden: every world follows the readings by a Kalman filter", *found.notes]
    if process > 0:
        notes.append(f"the state moves by {process:.2g} times the error of the first one at every step: process noise")
    drift = drift_of(lead, found.mode, rng)
    return replace(found, reasons=tuple(reasons), notes=tuple(notes), process=process, drift=drift)


def drift_of(target: WorldLikelihood, mode: Mode, rng: np.random.Generator) -> EpisodeDrift | None:
    """Ask if the world changed from episode to episode: compare the episodes' own modes with that of all.

    At the mode of all, an episode e has a slope g_e and an information I_e, and its own mode lies (I_e + 1)⁻¹ g_e away.
    If all are of one world, g_e is normal with covariance I_e, and the mode of all takes I_e (Σ I + 1)⁻¹ Σ g out of it.
    Σ g_eᵀ (I_e + 1)⁻¹ g_e is compared with draws of just that, as no chi-squared has directions of which episodes say
    next to nothing.

    Args:
        target: the likelihood of all episodes.
        mode: its mode.
        rng: draws.

    Returns:
        None of a single episode, or where nothing varies continuously.
    """
    k, episodes = len(mode.z), len(mode.by_episode)
    if k == 0 or episodes < 2:
        return None
    half = 0.5 * np.sqrt(np.diagonal(mode.covariance))
    around = np.concatenate([mode.z[None], mode.z + np.diag(half), mode.z - np.diag(half)])
    slopes, informations = np.empty((episodes, k)), np.empty((episodes, k, k))
    for episode in range(episodes):
        alone = replace(target, likelihood=target.likelihood.of_episode(episode))
        score, informations[episode] = alone.linearised(around, 2 * half)
        slopes[episode] = (score.total[1 : k + 1] - score.total[k + 1 :]) / (2 * half)
    if not np.isfinite(slopes).all():
        return None
    values, vectors = np.linalg.eigh(informations)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]
    drawn = np.einsum("eij,nej->nei", roots, rng.standard_normal((_DRIFT_DRAWS, episodes, k)))
    slopes = np.concatenate([slopes[None], drawn])
    common = np.linalg.solve(informations.sum(axis=0) + np.eye(k), slopes.sum(axis=1).T).T
    slopes = slopes - np.einsum("eij,nj->nei", informations, common)
    away = np.linalg.solve(informations + np.eye(k), np.swapaxes(slopes, 0, 1).swapaxes(1, 2))
    whole = np.einsum("nei,ein->n", slopes, away)
    each = (np.square(slopes) / (np.diagonal(informations, axis1=1, axis2=2) + 1)).sum(axis=1)
    own = (1 + (each[1:] >= each[0]).sum(axis=0)) / (1 + _DRIFT_DRAWS)
    names = [target.prior.parameters[column] for column in target.prior.continuous]
    most = int(np.lexsort((-each[0] / each[1:].mean(axis=0), own))[0])
    p_value = (1 + int((whole[1:] >= whole[0]).sum())) / (1 + _DRIFT_DRAWS)
    return EpisodeDrift(p_value, names[most], min(float(own[most]) * k, 1.0))
