"""Delay, bias and noise of a world's sensors, frame by frame in a rollout or afterwards on true observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import WorldError, listed
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.channels import (
    SensorParameters,
    changes_period,
    member_periods,
    sensor_parameters,
)
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.sensors.latency import DelayLine, whole_periods
from sim2real_cat.worlds.sensors.noise import GaussianNoise, NoiseChain, NoiseModel
from sim2real_cat.worlds.sensors.streams import Streams, spawn_streams
from sim2real_cat.worlds.tasks.task import FrameIndex, SimulationIndex
from sim2real_cat.worlds.world import World


class SensorModel:
    """The sensors of n simulations of one world.

    A reading is the observation of one delay ago, times the gain, plus the bias, put through the sensor's noise; a
    stuck sensor repeats its first reading; last, the readings go to their channels, some of which may be exchanged. The
    first Gaussian noise of every sensor comes from the episode's own generator, one normal for every reading; every
    other model has its own stream.

    Args:
        chains: d noise chains, one for each sensor.
        parameters: those of every sensor in every simulation; a chain without Gaussian noise begins with one as soon
            as a simulation gives it a deviation.
        periods: seconds from frame to frame, (n,) or one for all.
    """

    def __init__(self, chains: Sequence[NoiseChain], parameters: SensorParameters, periods: float | Floats) -> None:
        self._deviations, self._biases, delays, gains, stuck, sources = parameters
        self._periods = np.broadcast_to(periods, len(delays))
        self._delays = whole_periods(delays, self._periods[:, None])
        self._gains = gains if (gains != 1).any() else None
        self._stuck = stuck if stuck.any() else None
        self._sources = sources if (sources != np.arange(sources.shape[1])).any() else None
        columns: dict[NoiseChain, list[int]] = {}
        for column, chain in enumerate(chains):
            columns.setdefault(chain, []).append(column)
        self._groups = [_Group(chain, np.array(sensors)) for chain, sensors in columns.items()]
        self._own_draws = sum(model.source != "none" for group in self._groups for model in group.others)

    @property
    def needs_streams(self) -> bool:
        """Return whether a model needs random numbers beyond one normal for every reading."""
        return self._own_draws > 0

    def start(self, normals: Floats, streams: Sequence[Streams], rows: SimulationIndex = slice(None)) -> Readings:
        """Draw the noise of an episode in each of the simulations `rows`.

        Args:
            normals: (k, frames, d) standard normals; the array becomes the noise that is known in advance.
            streams: k streams; may be empty unless `needs_streams`.
            rows: (k,) which simulations start.
        """
        noise = normals
        noise *= self._deviations[rows, None, :]
        children = zip(*(stream.sensors.spawn(self._own_draws) for stream in streams), strict=True)
        tails = []
        for group in self._groups:
            links: list[_ChainLink] = []
            shape = (*noise.shape[:2], len(group.columns))
            for position, model in enumerate(group.chain.models):
                if position == group.gaussian:
                    if not group.tail(position):
                        continue  # it is part of the noise already
                    prepared: NDArray[Any] = noise[:, :, group.columns]
                    noise[:, :, group.columns] = 0.0
                else:
                    draws = np.empty((0, 0, 0)) if model.source == "none" else _drawn(model, next(children), shape)
                    prepared = _prepared(model, draws, self._periods[rows])
                if group.tail(position):
                    links.append(_ChainLink(model, prepared, shape))
                else:
                    noise[:, :, group.columns] += prepared
            if links:
                tails.append((group.columns, links))
        noise += self._biases[rows, None, :]
        return Readings(
            noise,
            tails,
            DelayLine(self._delays[rows]) if self._delays.any() else None,
            None if self._gains is None else self._gains[rows],
            None if self._stuck is None else StuckSensors(self._stuck[rows]),
            None if self._sources is None else self._sources[rows],
        )


class Readings:
    """The sensors in one rollout.

    Args:
        noise: (n, frames, d) the noise that is added to the truth, as far as it is known in advance.
        tails: columns of sensors, with the models that act frame by frame on their sums of truth and noise.
        delay: holds the observations back; None where no sensor is late.
        gains: (n, d) factors of the truth; None where all are 1.
        stuck: keeps the first readings of stuck sensors; None where there are none.
        sources: (n, d) the sensor whose reading arrives in each channel; None where each has its own.
    """

    def __init__(
        self,
        noise: Floats,
        tails: list[tuple[NDArray[np.intp], list[_ChainLink]]],
        delay: DelayLine | None,
        gains: Floats | None,
        stuck: StuckSensors | None,
        sources: Ints | None,
    ) -> None:
        self.noise = noise
        self._tails = tails
        self._delay, self._gains, self._stuck, self._sources = delay, gains, stuck, sources

    def begin(self, rows: NDArray[np.intp], fresh: Readings) -> None:
        """Replace the episodes of some simulations by those of `fresh`, from frame 0 on."""
        self.noise[rows] = fresh.noise
        for (_, links), (_, others) in zip(self._tails, fresh._tails, strict=True):
            for link, other in zip(links, others, strict=True):
                link.begin(rows, other)

    def read(self, observed: Floats, rows: SimulationIndex, frame: FrameIndex) -> Floats:
        """Return the readings of one frame: the observations (m, d) of some simulations, late and with noise."""
        if self._delay is not None:
            observed = self._delay.through(observed, rows, frame)
        if self._gains is not None:
            observed = observed * self._gains[rows]
        values = np.asarray(self.noise[rows, frame] + observed)
        for columns, links in self._tails:
            part = values[:, columns]
            for link in links:
                part = link.read(part, rows, frame)
            values[:, columns] = part
        if self._stuck is not None:
            values = self._stuck.through(values, rows, frame)
        if self._sources is not None:
            values = np.take_along_axis(values, self._sources[rows], axis=1)
        return values


class StuckSensors:
    """Sensors that repeat their first reading of an episode for ever.

    Args:
        stuck: (n, d) which sensors are.
    """

    def __init__(self, stuck: Bools) -> None:
        self._stuck, self._first = stuck, np.full(stuck.shape, np.nan)

    def through(self, values: Floats, rows: SimulationIndex, frame: FrameIndex) -> Floats:
        """Take in the readings (m, d) of a frame, and return those that stuck sensors give instead."""
        self._first[rows] = np.where(np.reshape(frame, (-1, 1)) == 0, values, self._first[rows])
        return np.where(self._stuck[rows], self._first[rows], values)


def sensed(
    world: World, trajectories: Trajectories, *, rng: np.random.Generator | int = 0, fibre: Ensemble | None = None
) -> Trajectories:
    """Return the trajectories with observations as the world's sensors would have read them.

    This is right where nobody acted on the observations, as in a replay. A policy that reacts reads its sensors in
    `rollout`.

    Args:
        world: the world whose noise the sensors have.
        trajectories: episodes that observe the truth, as `replay` gives them; `member_index` says which member of
            the ensemble each ran in.
        rng: a generator, or a seed for one; every episode has its own stream, spawned in order.
        fibre: the ensemble, whose members may have other sensors; the world as it is where none is given.

    Raises:
        WorldError: other sensors than the world's, or an ensemble that does not fit the world.
    """
    if trajectories.sensors != world.sensors:
        raise WorldError(
            f"world '{world.name}' has the sensors {listed(world.sensors)}; the trajectories have "
            f"{listed(trajectories.sensors)}"
        )
    ensemble = fibre_or_nominal(fibre)
    parameters = sensor_parameters(world, ensemble, trajectories.member_index)
    sensing = SensorModel(world.noise_chains(), parameters, _periods(world, ensemble, trajectories))
    generators = np.random.default_rng(rng).spawn(len(trajectories))
    truth = trajectories.observations
    normals, observations = np.empty_like(truth), np.empty_like(truth)
    for episode, generator in zip(normals, generators, strict=True):
        generator.standard_normal(out=episode)
    readings = sensing.start(normals, spawn_streams(generators) if sensing.needs_streams else [])
    for frame in range(truth.shape[1]):
        observations[:, frame] = readings.read(truth[:, frame], slice(None), frame)
    observations[np.arange(truth.shape[1]) > trajectories.lengths[:, None]] = np.nan
    return replace(trajectories, observations=observations)


def _periods(world: World, fibre: Ensemble, trajectories: Trajectories) -> float | Floats:
    """Return the seconds between two readings, of each episode where the members differ in them."""
    if not changes_period(fibre):
        return trajectories.control_period
    model = world.compile()
    return member_periods(world, model, fibre, trajectories.member_index)


@dataclass(frozen=True)
class _Group:
    """The sensors, by their columns, that share a chain."""

    chain: NoiseChain
    columns: NDArray[np.intp]

    @property
    def gaussian(self) -> int | None:
        """Position of the first Gaussian noise in the chain."""
        return next((at for at, model in enumerate(self.chain.models) if isinstance(model, GaussianNoise)), None)

    @property
    def others(self) -> list[NoiseModel]:
        """The models without the first Gaussian noise."""
        return [model for at, model in enumerate(self.chain.models) if at != self.gaussian]

    def tail(self, position: int) -> bool:
        """Return whether the model there, or one before it, does more than add, so that it needs the measured value."""
        return not all(model.additive for model in self.chain.models[: position + 1])


class _ChainLink:
    """One model in the tail of a chain during a rollout, with its prepared numbers and its last readings.

    Args:
        model: the model.
        prepared: the result of its `prepare`, or the Gaussian noise of its sensors.
        shape: simulations, frames and sensors, (n, frames, c).
    """

    def __init__(self, model: NoiseModel, prepared: NDArray[Any], shape: tuple[int, int, int]) -> None:
        self._model = model
        self._prepared = np.broadcast_to(prepared, shape) if prepared.size else np.empty((shape[0], shape[1], 0))
        self._last = np.full((shape[0], shape[2]), np.nan)

    def begin(self, rows: NDArray[np.intp], fresh: _ChainLink) -> None:
        if not self._prepared.flags.writeable:  # one number stands for every frame
            self._prepared = self._prepared.copy()
        self._prepared[rows], self._last[rows] = fresh._prepared, fresh._last

    def read(self, values: Floats, rows: SimulationIndex, frame: FrameIndex) -> Floats:
        readings = self._model.read(values, self._prepared[rows, frame], self._last[rows])
        if self._model.holds:
            self._last[rows] = readings
        return readings


def _prepared(model: NoiseModel, draws: Floats, periods: Floats) -> NDArray[Any]:
    """Return the numbers that a model prepares for episodes whose frames are `periods` (n,) seconds apart."""
    known = np.unique(periods)
    if len(known) == 1 or not draws.size:
        return model.prepare(draws, float(known[0]))
    parts = {float(period): model.prepare(draws, float(period)) for period in known}
    return np.stack([parts[float(period)][row] for row, period in enumerate(periods)])


def _drawn(model: NoiseModel, generators: Sequence[np.random.Generator], shape: tuple[int, int, int]) -> Floats:
    """Draw the random numbers of a model, from a generator for each episode."""
    n, frames, c = shape
    draws = np.empty((n, 1 if model.source == "constant" else frames, c))
    for i, generator in enumerate(generators):
        if model.source == "uniform":
            generator.random(out=draws[i])
        else:
            generator.standard_normal(out=draws[i])
    return draws
