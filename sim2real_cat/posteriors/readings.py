"""The probability of recorded readings: the noise of each sensor around what was expected of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError, WorldError, listed, unknown_name
from sim2real_cat.posteriors.densities import (
    Densities,
    assemble,
    gaussian_densities,
    joint_densities,
    joint_log_densities,
    normal,
    side_by_side,
)
from sim2real_cat.posteriors.expectation import Expectation
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.sensors.noise import NoiseChain, Quantisation, log_normal_between
from sim2real_cat.worlds.world import World


@dataclass(frozen=True, eq=False)
class FittedReadings:
    """The readings that reality is taken to expect where its parameters are not known: a fit to other episodes.

    Attributes:
        reading: (N, d) of each reading.
        deviation: (N, d) standard deviation of the error.
    """

    reading: Floats
    deviation: Floats


def reading_densities(
    recording: Trajectories, simulated: Expectation, real: Expectation | FittedReadings, scale: float = 1.0
) -> Densities:
    """Compute the densities of the recorded readings, in each member and in reality.

    Args:
        recording: whole episodes of one real member.
        simulated: the expectation of M members.
        real: that of reality; M = 1 where its parameters are known.
        scale: a factor for the deviations of all noise; where reality is known, of its noise too, and of the errors
            of the readings. Only for sensors with plainly Gaussian noise.

    Raises:
        GapError: the recorded states have errors and a sensor has noise that is not plainly Gaussian, or is stuck.
    """
    sensors = np.arange(len(recording.sensors))
    chains = simulated.chains if isinstance(real, FittedReadings) else (*simulated.chains, *real.chains)
    plain = np.array([all(row[sensor].plain for row in chains) for sensor in sensors])
    stuck = simulated.stuck.any(axis=0)
    if isinstance(real, Expectation):
        stuck = stuck | real.stuck.any(axis=0)
    plain &= ~stuck
    if simulated.spread is not None:
        if stuck.any():
            names = listed(recording.sensors[sensor] for sensor in sensors[stuck])
            raise GapError(f"stuck sensors have no density where the recorded states have errors: {names}")
        if not plain.all():
            odd = listed(recording.sensors[sensor] for sensor in sensors[~plain])
            raise GapError(f"the error of the recorded states is carried on for Gaussian noise only, not for: {odd}")
        return _joint(recording, simulated, simulated.spread, real, scale)
    found = []
    if plain.any():
        found.append(_independent(recording, simulated, real, scale, sensors[plain]))
    other = sensors[~plain & ~stuck]
    if len(other):
        found.append(_chained(recording, simulated, real, other))
    if stuck.any():
        found.append(_repeating(recording, simulated, real, sensors[stuck]))
    return side_by_side(found, np.argsort(np.concatenate([sensors[plain], other, sensors[stuck]])))


def log_densities(recording: Trajectories, expected: Expectation, *, atoms: bool = False) -> Floats:
    """Compute (M, N) the log-density of the readings after every transition in each member; -inf where it is lost.

    Args:
        recording: whole episodes.
        expected: what M members expect.
        atoms: whether a sensor may be stuck in other worlds that these are compared with; see `_with_repeats`.

    Raises:
        GapError: the recorded states have errors, and a sensor is stuck or has noise that is not plainly Gaussian.
    """
    if expected.spread is None:
        return np.asarray(sensor_log_densities(recording, expected, atoms=atoms).sum(axis=2))
    if expected.stuck.any() or not all(chain.plain for row in expected.chains for chain in row):
        raise GapError("the error of the recorded states is carried on for plainly Gaussian noise only")
    return joint_log_densities(_readings(recording)[1], expected.reading, _covariance(expected, expected.spread))


def sensor_log_densities(recording: Trajectories, expected: Expectation, *, atoms: bool = False) -> Floats:
    """Compute (M, N, d) the log-density of each sensor's reading, as `log_densities` of exact states adds them up."""
    sensors = np.arange(len(recording.sensors))
    plain = np.array([all(row[sensor].plain for row in expected.chains) for sensor in sensors])
    episode, reading = _readings(recording)
    own = np.empty((*expected.reading.shape[:2], len(sensors)))
    width = _deviations(expected)[:, None, plain]
    own[:, :, plain] = normal(reading[:, plain] - expected.reading[:, :, plain], width)
    if not plain.all():
        own[:, :, ~plain] = _through_chains(recording, expected, sensors[~plain])
    if atoms or expected.stuck.any():
        repeats = reading == recording.observations[episode, 0]
        discrete = np.array([_step(chain) > 0 for chain in expected.chains[0]])
        own = _with_repeats(own, repeats, expected.stuck, discrete)
    return np.where(np.isnan(own), -np.inf, own)


def require_readings(world: World, recording: Trajectories) -> None:
    """Check that the recording is of this world's sensors, and finite.

    Raises:
        WorldError: a sensor that the world does not have.
        GapError: a reading that is NaN or infinite.
    """
    for name in recording.sensors:
        if name not in world.sensors:
            raise WorldError(f"the recording, in world '{world.name}': " + unknown_name("sensor", name, world.sensors))
    bad = recording.within()[..., None] & ~np.isfinite(recording.observations)
    if bad.any():
        episode, frame, sensor = (int(i) for i in np.argwhere(bad)[0])
        raise GapError(
            f"the recording has {int(bad.sum())} readings that are NaN or infinite, the first in episode {episode}, "
            f"frame {frame}, sensor '{recording.sensors[sensor]}': repair or cut them"
        )


def widths(expected: Expectation) -> Floats:
    """Return (M, d) a standard deviation for the noise of each sensor in each member, also where it is not Gaussian."""
    return np.array([[_width(chain) for chain in row] for row in expected.chains])


def _width(chain: NoiseChain) -> float:
    """Return the standard deviation of what the models of a chain add to a reading."""
    square = 0.0
    for model in chain.models:
        square += getattr(model, "deviation", 0.0) ** 2 + getattr(model, "half_width", 0.0) ** 2 / 3
        square += getattr(model, "step", 0.0) ** 2 / 12
    return float(np.sqrt(square))


def _covariance(expected: Expectation, spread: Floats, scale: float = 1.0) -> Floats:
    """Return (M, N, d, d) the covariance of the readings, from the states' errors and the noise."""
    return spread + np.square(scale * _deviations(expected))[:, None, :, None] * np.eye(spread.shape[-1])


def _independent(
    recording: Trajectories,
    simulated: Expectation,
    real: Expectation | FittedReadings,
    scale: float,
    sensors: Ints,
) -> Densities:
    """Compute the densities of sensors with Gaussian noise."""
    episode, reading = _readings(recording)
    expected, deviation = _real(real, scale)
    if isinstance(real, Expectation):
        reading = expected + scale * (reading - expected)  # as they would have been with that noise
    return gaussian_densities(
        episode,
        reading[:, sensors],
        simulated.reading[:, :, sensors],
        scale * _deviations(simulated)[:, sensors],
        expected[:, sensors],
        deviation[..., sensors],
        exact=isinstance(real, Expectation),
    )


def _chained(
    recording: Trajectories, simulated: Expectation, real: Expectation | FittedReadings, sensors: Ints
) -> Densities:
    """Compute the densities of sensors with other noise, each reading given those before it in its episode."""
    own = _through_chains(recording, simulated, sensors)
    if isinstance(real, Expectation):
        return assemble(_readings(recording)[0], own, _through_chains(recording, real, sensors)[0])
    return assemble(_readings(recording)[0], own, _through_fit(recording, simulated, real, sensors))


def _repeating(
    recording: Trajectories, simulated: Expectation, real: Expectation | FittedReadings, sensors: Ints
) -> Densities:
    """Compute the densities of channels that are stuck in some member or in reality; see `_with_repeats`.

    A reality that is fitted repeats a reading for certain where it did.
    """
    episode, reading = _readings(recording)
    repeats = reading[:, sensors] == recording.observations[episode, 0][:, sensors]
    discrete = np.array([_step(simulated.chains[0][sensor]) > 0 for sensor in sensors])

    def through(expected: Expectation) -> Floats:
        own = _through_chains(recording, expected, sensors)
        return _with_repeats(own, repeats, expected.stuck[:, sensors], discrete)

    if isinstance(real, Expectation):
        return assemble(episode, through(simulated), through(real)[0])
    fitted = _through_fit(recording, simulated, real, sensors)
    return assemble(episode, through(simulated), np.where(repeats, 0.0, fitted))


def _through_fit(recording: Trajectories, simulated: Expectation, real: FittedReadings, sensors: Ints) -> Floats:
    """Compute (N, c) the log-density of each reading in a reality that is fitted."""
    reading = _readings(recording)[1]
    columns = [
        _fitted(reading[:, sensor] - real.reading[:, sensor], real.deviation[:, sensor], simulated.chains[0][sensor])
        for sensor in sensors
    ]
    return np.stack(columns, axis=1)


def _fitted(error: Floats, deviation: Floats, chain: NoiseChain) -> Floats:
    """Compute (N,) the log-density of normal errors; that of a whole cell where the chain's readings are discrete."""
    step = _step(chain)
    if step == 0:
        return normal(error, deviation)
    return log_normal_between((error - step / 2) / deviation, (error + step / 2) / deviation, 1.0)


def _step(chain: NoiseChain) -> float:
    """Return the distance of neighbouring readings, 0 where they are continuous."""
    return next((model.step for model in reversed(chain.models) if isinstance(model, Quantisation)), 0.0)


def _through_chains(recording: Trajectories, expected: Expectation, sensors: Ints) -> Floats:
    """Compute (M, N, c) the log-density of each reading in each member."""
    within = recording.within()
    later = within.copy()
    later[:, 0] = False
    found = np.empty((len(expected.chains), int(later.sum()), len(sensors)))
    for column, sensor in enumerate(sensors):
        reading = np.where(within, recording.observations[:, :, sensor], np.nan)
        for member, chains in enumerate(expected.chains):
            clean = np.full_like(reading, np.nan)
            clean[:, 0] = expected.first[member, :, sensor]
            clean[later] = expected.reading[member, :, sensor]
            own = chains[sensor].log_density(reading, clean, float(expected.periods[member]))[later]
            found[member, :, column] = own
    return found


def _with_repeats(own: Floats, repeats: Bools, stuck: Bools, discrete: Bools) -> Floats:
    """Return log-densities (..., N, c) of channels that are stuck in some world, with respect to one measure for all.

    A stuck sensor repeats its first reading for certain, which has no usual density. So the measure of such a
    channel has an atom at the first reading of the episode: there a stuck sensor has 1, and another one 0 unless its
    readings are discrete; elsewhere a stuck one has 0.

    Args:
        own: (..., N, c) the log-density of each reading of sensors that are not stuck.
        repeats: (N, c) whether it is the first reading of its episode again.
        stuck: (..., c) whether the sensor is stuck.
        discrete: (c,) whether its readings are discrete where it is not.
    """
    never = np.where(repeats & ~discrete, -np.inf, own)
    return np.where(stuck[..., None, :], np.where(repeats, 0.0, -np.inf), never)


def _joint(
    recording: Trajectories, simulated: Expectation, spread: Floats, real: Expectation | FittedReadings, scale: float
) -> Densities:
    """Compute the densities of all sensors where the recorded states have errors."""
    episode, reading = _readings(recording)
    unit = np.eye(reading.shape[1])
    covariance = _covariance(simulated, spread, scale)
    expected, deviation = _real(real, scale)
    real_covariance = np.square(np.broadcast_to(deviation, reading.shape))[..., None] * unit
    known = isinstance(real, Expectation)
    if isinstance(real, Expectation) and real.spread is not None:
        real_covariance = real_covariance + real.spread[0]
    return joint_densities(episode, reading, simulated.reading, covariance, expected, real_covariance, exact=known)


def _real(real: Expectation | FittedReadings, scale: float) -> tuple[Floats, Floats]:
    """Return (N, d) what reality expects, and the deviation (d,) or (N, d) of its Gaussian noise."""
    if isinstance(real, FittedReadings):
        return real.reading, real.deviation
    return real.reading[0], scale * _deviations(real)[0]


def _deviations(expected: Expectation) -> Floats:
    """Return (M, d) the deviation of the Gaussian noise of each sensor in each member."""
    return np.array([[chain.deviation for chain in row] for row in expected.chains])


def _readings(recording: Trajectories) -> tuple[Ints, Floats]:
    """Return the episode (N,) and the sensors' readings (N, d) after every transition."""
    episode, step = recording.transitions()
    return episode, recording.observations[episode, step + 1]
