"""Delay, bias and noise of a world's sensors, frame by frame in a rollout or afterwards on true observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.apply import SensorParameters, sensor_parameters
from sim2real_cat.worlds.randomization.ensemble import Ensemble, fibre_or_nominal
from sim2real_cat.worlds.sensors.latency import DelayLine, whole_periods
from sim2real_cat.worlds.sensors.noise import GaussianNoise, NoiseChain, NoiseModel
from sim2real_cat.worlds.sensors.streams import Streams, spawn_streams
from sim2real_cat.worlds.tasks.task import FrameIndex, SimulationIndex
from sim2real_cat.worlds.world import World


class SensorModel:
    """The sensors of n simulations of one world.

    A reading is the observation of one delay ago, plus the bias, put through the sensor's noise. The first Gaussian
    noise of every sensor comes from the episode's own generator, one normal for every reading; every other model
    has its own stream.

    Args:
        chains: d noise chains, one for each sensor.
        parameters: deviation of the first Gaussian noise, bias and delay of every sensor in every simulation; a
            chain without Gaussian noise begins with one as soon as a simulation gives it a deviation.
        period: seconds from frame to frame.
    """

    def __init__(self, chains: Sequence[NoiseChain], parameters: SensorParameters, period: float) -> None:
        self._deviations, self._biases, delays = parameters
        self._delays = whole_periods(delays, period)
        self._period = period
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
                    prepared = model.prepare(draws, self._period)
                if group.tail(position):
                    links.append(_ChainLink(model, prepared, shape))
                else:
                    noise[:, :, group.columns] += prepared
            if links:
                tails.append((group.columns, links))
        noise += self._biases[rows, None, :]
        return Readings(noise, tails, DelayLine(self._delays[rows]) if self._delays.any() else None)


class Readings:
    """The sensors in one rollout.

    Args:
        noise: (n, frames, d) the noise that is added to the truth, as far as it is known in advance.
        tails: columns of sensors, with the models that act frame by frame on their sums of truth and noise.
        delay: holds the observations back; None where no sensor is late.
    """

    def __init__(
        self, noise: Floats, tails: list[tuple[NDArray[np.intp], list[_ChainLink]]], delay: DelayLine | None
    ) -> None:
        self.noise = noise
        self._tails = tails
        self._delay = delay

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
        values = np.asarray(self.noise[rows, frame] + observed)
        for columns, links in self._tails:
            part = values[:, columns]
            for link in links:
                part = link.read(part, rows, frame)
            values[:, columns] = part
        return values


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
    sensing = SensorModel(world.noise_chains(), parameters, trajectories.control_period)
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
