"""The sensor readings that each member of a fibre expects after every recorded transition, and how surely.

A `Predictor` starts every transition in the recorded state. A `HiddenPredictor` knows the first state alone and follows
the readings by a Kalman filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError, WorldError, listed
from sim2real_cat.posteriors.kalman import Innovations, filtered, followed
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.parameters.channels import (
    SensorParameters,
    changes_period,
    member_periods,
    sensor_parameters,
)
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.sensors.latency import whole_periods
from sim2real_cat.worlds.sensors.noise import NoiseChain
from sim2real_cat.worlds.simulation.prediction import HiddenStates, KeptBatches, observe_states, predict_steps
from sim2real_cat.worlds.simulation.tangent import coordinate_names, moved, positions_moved
from sim2real_cat.worlds.world import World

# Expected readings, of all members and sensors, that are held at a time.
_READINGS_AT_ONCE = 4_000_000
# Simulations of hidden states that are stepped at a time.
_LANES_AT_ONCE = 4096
# Steps by which later readings are asked if they depend on a coordinate, and steps of Gauss and Newton's method.
_LOOK_AHEAD, _NEWTON = 10, 20
# Errors of the states beyond this share of their spread shift a gap by more than about half of its square in nats.
_SMALL_ERROR = 0.1


@dataclass(frozen=True, eq=False)
class Expectation:
    """The readings that M members expect after N transitions of some episodes.

    Attributes:
        reading: (M, N, d) without noise; gain, bias and delay included; NaN where a member diverges.
        first: (M, episodes, d) the same at the start of each episode; NaN where all noise is plainly Gaussian, which
            does not ask for it.
        spread: (M, N, d, d) covariance of `reading` from the error of the recorded states; None where they are exact.
        chains: M tuples of d noise chains.
        stuck: (M, d) whether a sensor repeats its first reading, which is what is expected then.
        periods: (M,) seconds from reading to reading.
    """

    reading: Floats
    first: Floats
    spread: Floats | None
    chains: tuple[tuple[NoiseChain, ...], ...]
    stuck: Bools
    periods: Floats


class Predictor:
    """A predictor of the readings of a world's sensors, in each member of a fibre, from recorded states.

    Attributes:
        world: the world.
        fibre: the members.
        deviation: (2 nv,) standard deviation of the error of each recorded position and velocity.
        filters: whether a prediction depends on the readings before it.

    Args:
        world: the world.
        fibre: the members.
        state_deviation: standard deviation of the error of the recorded states: one number, two for positions and
            velocities, or one for each of the 2 nv coordinates.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: a negative state deviation, or one of another length than there are coordinates.
        WorldError: a world whose sensors remember more than a recording tells.
    """

    filters = False

    def __init__(self, world: World, fibre: Ensemble, state_deviation: float | Sequence[float], threads: int) -> None:
        if world.task.remembers:
            raise WorldError(
                f"world '{world.name}': its observations depend on more than the recorded state; estimate the gap "
                "from samples, with method 'gaussian'"
            )
        self.world, self.fibre, self.threads = world, fibre, threads
        self._model = world.compile()
        self._kept = KeptBatches()
        self.deviation = _by_coordinate(state_deviation, int(self._model.nv))

    @property
    def uncertain(self) -> bool:
        """Tell if the recorded states have errors."""
        return bool(self.deviation.any())

    def of(self, fibre: Ensemble) -> Self:
        """Return the predictor of other members of the same world; it uses this one's model and batches again."""
        other = copy(self)
        other.fibre = fibre
        return other

    def member(self, row: int) -> Self:
        """Return the predictor of one member alone."""
        return self.of(self.fibre.select([row]))

    def without_noise(self, sensors: Sequence[str]) -> list[str]:
        """Return the sensors whose readings are certain in some member."""
        columns = zip(sensors, *self.chains(sensors), strict=True)
        return [name for name, *chains in columns if not all(_noisy(chain) for chain in chains)]

    def require_noise(self, sensors: Sequence[str]) -> None:
        """Refuse sensors whose readings have no density.

        Raises:
            GapError: sensors without noise; a chain of noise models that has no density.
        """
        if silent := self.without_noise(sensors):
            raise GapError(
                f"sensors without noise have no density: {listed(silent)}; give world '{self.world.name}' the noise "
                "of its sensors, or have it fitted to a recording with noise='fitted'"
            )
        for name, *of in zip(sensors, *self.chains(sensors), strict=True):
            for chain in dict.fromkeys(of):
                try:
                    chain.log_density(np.zeros((1, 2)), np.zeros((1, 2)))
                except WorldError as error:
                    raise GapError(f"sensor '{name}': {error}") from None

    def scalable(self, sensors: Sequence[str], *, exact: bool) -> bool:
        """Tell if densities under wider noise can be had: all noise is Gaussian, and no error of states mixes in.

        Args:
            sensors: the sensors asked about.
            exact: whether reality's own density is known rather than fitted.
        """
        plain = all(chain.plain for row in self.chains(sensors) for chain in row)
        stuck = bool(self.parameters().stuck.any())
        return plain and not stuck and not self.filters and not (exact and self.uncertain)

    def doubt(self, recording: Trajectories) -> str:
        """Return why not to rely on recorded states with errors, '' where these are small or there are none."""
        if self.filters or not self.uncertain:
            return ""
        within = recording.within()
        spread = [recording.qpos[within].std(axis=0), recording.qvel[within].std(axis=0)]
        nv = len(self.deviation) // 2
        shares = [
            self.deviation[part * nv : (part + 1) * nv].max() / max(float(np.median(of)), np.finfo(float).tiny)
            for part, of in enumerate(spread)
        ]
        if max(shares) <= _SMALL_ERROR:
            return ""
        return (
            f"the error of the recorded states is {max(shares):.0%} of how far they spread: what a fitted reality "
            "knows of that spread counts as a gap"
        )

    def batches(self, recording: Trajectories) -> Iterator[tuple[Trajectories, slice]]:
        """Yield successive whole episodes of one real member, as many as fit in memory, with their transitions' rows.

        The rows count through all transitions of the recording.
        """
        width = len(recording.sensors)
        width *= width if self.uncertain else 1
        room = max(_READINGS_AT_ONCE // (len(self.fibre) * width), 1)
        batch = (np.cumsum(recording.lengths) - recording.lengths) // room
        changes = np.flatnonzero(np.diff(batch) + np.abs(np.diff(recording.member_index))) + 1
        first = 0
        for episodes in np.split(np.arange(len(recording)), changes):
            part = recording.select(episodes)
            rows = slice(first, first + int(part.lengths.sum()))
            first = rows.stop
            yield part, rows

    def expect(self, recording: Trajectories, rows: Ints | None = None) -> Expectation:
        """Compute what every member expects of every transition, or of some of them.

        Args:
            recording: the recording.
            rows: some of its transitions, as `Trajectories.transitions` counts them; all where none are given.
        """
        columns, parameters = self._columns(recording), self.parameters()
        order = self._order(recording)
        periods, chains = self._periods(recording), self.chains(recording.sensors)
        late = whole_periods(parameters.delays[:, columns], periods[:, None])
        gain, bias = parameters.gains[:, columns], parameters.biases[:, columns]
        truth = self._ahead(recording, late, rows)
        reading = _ordered(gain[:, None] * truth + bias[:, None], order)
        first = np.full((len(self.fibre), len(recording), len(columns)), np.nan)
        if not all(chain.plain for row in chains for chain in row):
            first = _ordered(gain[:, None] * self._seen(_starts(recording))[:, :, 0] + bias[:, None], order)
        stuck = np.take_along_axis(parameters.stuck[:, columns], order, axis=1)
        episode = recording.transitions()[0] if rows is None else recording.transitions()[0][rows]
        for member, sensor in np.argwhere(stuck):
            first[member, :, sensor] = recording.observations[:, 0, sensor]
            reading[member, :, sensor] = first[member, episode, sensor]
        spread = None
        if self.uncertain:
            spread = self._spread(recording, late, truth, rows) * gain[:, None, :, None] * gain[:, None, None, :]
            spread = _ordered(_ordered(spread, order).swapaxes(2, 3), order)
            spread *= ~(stuck[:, None, :, None] | stuck[:, None, None, :])
        return Expectation(reading, first, spread, chains, stuck, periods)

    def _columns(self, recording: Trajectories) -> list[int]:
        """Return the world's columns of the recorded sensors."""
        return [self.world.sensors.index(name) for name in recording.sensors]

    def _order(self, recording: Trajectories) -> Ints:
        """Return (M, d) the place among the recorded sensors of the one whose reading arrives in each channel.

        Raises:
            WorldError: it is not among them.
        """
        columns = self._columns(recording)
        sources = self.parameters().sources[:, columns]
        for member, channel in np.argwhere(~np.isin(sources, columns)):
            missing = self.world.sensors[sources[member, channel]]
            raise WorldError(
                f"channel '{recording.sensors[channel]}' shows sensor '{missing}' in member {member}, which is not "
                "recorded; record both, or leave 'observation_swap' out"
            )
        sorter = np.argsort(columns)
        return np.asarray(sorter[np.searchsorted(columns, sources, sorter=sorter)], dtype=np.intp)

    def _periods(self, recording: Trajectories) -> Floats:
        """Return (M,) the seconds from reading to reading in each member."""
        if not changes_period(self.fibre):
            return np.full(len(self.fibre), recording.control_period)
        return member_periods(self.world, self._model, self.fibre, np.arange(len(self.fibre)))

    def _ahead(self, recording: Trajectories, late: Ints, rows: Ints | None) -> Floats:
        """Return (M, N, d) the readings after every transition; a reading that is late is of a recorded state."""
        predicted = predict_steps(
            self.world, recording, fibre=self.fibre, rows=rows, threads=self.threads, kept=self._kept
        )
        reading = predicted.observation.reshape(len(self.fibre), -1, len(recording.sensors))
        if late.any():
            episode, step = predicted.episode[: reading.shape[1]], predicted.step[: reading.shape[1]]
            seen = self._seen(recording)
            for member, sensor in np.argwhere(late > 0):
                frame = np.maximum(step + 1 - late[member, sensor], 0)
                reading[member, :, sensor] = seen[member, episode, frame, sensor]
        return reading

    def _seen(self, recording: Trajectories) -> Floats:
        """Return (M, episodes, T + 1, d) the readings, without noise, in the recorded states."""
        return observe_states(self.world, recording, fibre=self.fibre, threads=self.threads)

    def _spread(self, recording: Trajectories, late: Ints, reading: Floats, rows: Ints | None) -> Floats:
        """Compute (M, N, d, d) the covariance of the readings from the error of the recorded states.

        Central differences over one deviation of each coordinate: Σ_k δ_k δ_kᵀ with δ_k half of the difference.
        """
        total = np.zeros((*reading.shape, reading.shape[2]))
        for coordinate in np.flatnonzero(self.deviation):
            step = np.zeros(len(self.deviation))
            step[coordinate] = self.deviation[coordinate]
            ends = [self._ahead(moved(self._model, recording, sign * step), late, rows) for sign in (1.0, -1.0)]
            half = 0.5 * (ends[0] - ends[1])
            total += half[..., :, None] * half[..., None, :]
        return total

    def parameters(self) -> SensorParameters:
        """Return the delays, biases and noise of the sensors in each member."""
        return sensor_parameters(self.world, self.fibre, np.arange(len(self.fibre)))

    def chains(self, sensors: Sequence[str]) -> tuple[tuple[NoiseChain, ...], ...]:
        """Return the noise chain of each sensor in each member."""
        columns = [self.world.sensors.index(name) for name in sensors]
        chains, parameters = self.world.noise_chains(), self.parameters()
        return tuple(
            tuple(chains[source].with_deviation(float(row[source])) for source in sources[columns])
            for row, sources in zip(parameters.deviations, parameters.sources, strict=True)
        )


def _ordered(values: Floats, order: Ints) -> Floats:
    """Return values (M, N, d, ...) with the third axis in the order (M, d) of their member."""
    if (order == np.arange(order.shape[1])).all():
        return values
    return np.stack([of[:, row] for of, row in zip(values, order, strict=True)])


def _starts(recording: Trajectories) -> Trajectories:
    """Return the first frame of every episode."""
    frames = {name: getattr(recording, name)[:, :1] for name in ("observations", "qpos", "qvel")}
    steps = {name: getattr(recording, name)[:, :0] for name in ("actions", "rewards")}
    return replace(recording, **frames, **steps, lengths=np.zeros_like(recording.lengths))


def _noisy(chain: NoiseChain) -> bool:
    """Tell if a reading through the chain is anything but certain."""
    return any(getattr(model, width, 0.0) > 0 for model in chain.models for width in ("deviation", "half_width"))


def _by_coordinate(deviation: float | Sequence[float], nv: int) -> Floats:
    """Return (2 nv,) the deviation of every position and velocity."""
    given = np.atleast_1d(np.asarray(deviation, dtype=float))
    if 1 <= len(given) <= 2:
        given = np.repeat(np.broadcast_to(given, 2), nv)
    if given.shape != (2 * nv,):
        raise GapError(f"{len(given)} state deviations for {nv} positions and {nv} velocities: give 1, 2 or {2 * nv}")
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise GapError(f"state deviations must be finite and not negative: {given.tolist()}")
    return given


class HiddenPredictor(Predictor):
    """A predictor from the first recorded state, with its error, and the readings so far.

    The arguments are those of `Predictor`.

    Attributes:
        process: the deviation of the noise that moves the state before every step, in units of the error of the first
            state; 0 at first.
    """

    filters = True
    process = 0.0

    def require_noise(self, sensors: Sequence[str]) -> None:
        """Refuse sensors whose readings have no density, or that a Kalman filter cannot follow.

        Raises:
            GapError: as `Predictor.require_noise`, or noise that is not plainly Gaussian.
            WorldError: a sensor that is late, stuck, or has a gain of 0.
        """
        super().require_noise(sensors)
        columns = [self.world.sensors.index(name) for name in sensors]
        _require_followable(sensors, self.chains(sensors), self.parameters(), columns)

    def with_process(self, process: float) -> HiddenPredictor:
        """Return the same predictor with other process noise."""
        other = copy(self)
        other.process = process
        return other

    def expect(self, recording: Trajectories, rows: Ints | None = None) -> Expectation:
        """Compute what every member expects of every transition, or of some of them.

        All are computed, as each follows from those before it.

        Raises:
            GapError: a sensor whose noise is not plainly Gaussian.
            WorldError: a sensor that is late, so that its reading is not one of the present state.
        """
        found = self._joined(recording, self._filtered(recording))
        if rows is None:
            return found
        assert found.spread is not None
        return replace(found, reading=found.reading[:, rows], spread=found.spread[:, rows])

    def innovations(self, recording: Trajectories) -> tuple[Innovations, Expectation]:
        """Filter the episodes in the first member.

        Returns:
            A lane for each episode, of readings before gain and bias; and what the member expects.
        """
        first = self.member(0)
        parts = list(first._filtered(recording))
        names = [entry.name for entry in fields(Innovations)]
        lanes = Innovations(*(np.concatenate([getattr(found, name) for _, found in parts]) for name in names))
        return lanes, first._joined(recording, parts)

    def _joined(self, recording: Trajectories, parts: Iterable[tuple[Ints, Innovations]]) -> Expectation:
        """Return what members expect, from lanes as `_filtered` yields them."""
        columns = self._columns(recording)
        parameters, order = self.parameters(), self._order(recording)
        gain, bias, noise = (of[:, columns] for of in (parameters.gains, parameters.biases, parameters.deviations))
        shape = (len(self.fibre), int(recording.lengths.sum()), len(columns))
        expected, spread = np.empty(shape), np.empty((*shape, len(columns)))
        ends = np.concatenate([[0], np.cumsum(recording.lengths)])
        within = recording.within()[:, 1:]
        for lanes, found in parts:
            for lane, (member, of) in enumerate(lanes):
                into = slice(ends[of], ends[of + 1])
                expected[member, into] = found.expected[lane, within[of]]
                spread[member, into] = found.covariance[lane, within[of]]
        expected = gain[:, None] * expected + bias[:, None]
        spread *= gain[:, None, :, None] * gain[:, None, None, :]
        spread -= np.square(noise)[:, None, :, None] * np.eye(len(columns))
        reading = _ordered(expected, order)
        spread = _ordered(_ordered(spread, order).swapaxes(2, 3), order)
        stuck = np.zeros(gain.shape, dtype=bool)
        first, chains = reading[:, ends[:-1]], self.chains(recording.sensors)
        return Expectation(reading, first, spread, chains, stuck, self._periods(recording))

    def follow(self, recording: Trajectories, like: Innovations) -> Floats:
        """Compute (M, N, d) the readings that members expect if they correct the state as another did that filtered.

        Args:
            recording: the recording.
            like: as `innovations` returned them.
        """
        columns, parameters = self._columns(recording), self.parameters()
        found = []
        within = recording.within()[:, 1:]
        for lanes, read in self._lanes(recording, 1):
            model = HiddenStates(self.world, self.fibre, recording, lanes, 1, self.threads, self._kept)
            member, episode = lanes.T
            expected = followed(model, model.first(), read, like, episode)
            expected = expected * parameters.gains[member][:, None, columns]
            found.append((expected + parameters.biases[member][:, None, columns])[within[episode]])
        reading = np.concatenate(found).reshape(len(self.fibre), -1, len(columns))
        return _ordered(reading, self._order(recording))

    def sensitivity(self, recording: Trajectories, steps: int) -> Floats:
        """Compute how the first member's readings change with the first state if nothing is read on the way.

        Returns:
            (episodes, 2 nv, d) half of the difference between the readings, before gain and bias, of a start that is
            a deviation of its error beyond the recorded one and of a start below, in a coordinate; `steps` control
            steps later, or at the end of a shorter episode.
        """
        k, n = len(self.deviation), len(recording)
        lanes = np.column_stack([np.zeros(2 * k * n, dtype=np.intp), np.tile(np.arange(n), 2 * k)])
        model = HiddenStates(self.world, self.member(0).fibre, recording, lanes, 1, self.threads, self._kept)
        signs = np.concatenate([np.eye(k), -np.eye(k)]) * self.deviation
        at = model.moved(model.first(), np.repeat(signs, n, axis=0))[:, None]
        read = np.empty(0)
        for step in range(min(steps, recording.actions.shape[1])):
            at, read = model.ahead(at, step)
        ends = read.reshape(2, k, n, -1)
        return np.moveaxis(0.5 * (ends[0] - ends[1]), 1, 0)

    def _filtered(self, recording: Trajectories) -> Iterator[tuple[Ints, Innovations]]:
        """Yield lanes (L, 2), the member and the episode of each, and what the filter expects there."""
        columns, parameters = self._columns(recording), self.parameters()
        _require_followable(recording.sensors, self.chains(recording.sensors), parameters, columns)
        noise = parameters.deviations[:, columns] / np.abs(parameters.gains[:, columns])
        points = 2 * len(self.deviation) + 1
        belief = np.diag(np.square(self.deviation))
        for lanes, read in self._lanes(recording, points):
            model = HiddenStates(self.world, self.fibre, recording, lanes, points, self.threads, self._kept)
            start = np.broadcast_to(belief, (len(lanes), *belief.shape))
            process = self.process * self.deviation
            yield lanes, filtered(model, model.first(), start, read, noise[lanes[:, 0]], process)

    def _lanes(self, recording: Trajectories, points: int) -> Iterator[tuple[Ints, Floats]]:
        """Yield lanes (L, 2), as many as are stepped at a time, and what their sensors read before gain and bias."""
        columns, parameters = self._columns(recording), self.parameters()
        gain, bias = parameters.gains[:, columns], parameters.biases[:, columns]
        back = np.argsort(self._order(recording), axis=1)  # the channel in which each sensor's reading arrives
        read = np.where(recording.within()[:, 1:, None], recording.observations[:, 1:], np.nan)
        lanes = np.indices((len(self.fibre), len(recording))).reshape(2, -1).T
        for block in np.array_split(lanes, -(-len(lanes) * points // _LANES_AT_ONCE)):
            member, episode = block.T
            own = np.take_along_axis(read[episode], back[member, None], axis=2)
            yield block, (own - bias[member, None]) / gain[member, None]


@dataclass(frozen=True, eq=False)
class FirstStates:
    """The first state of every episode, and how surely it is known.

    Attributes:
        recording: the episodes of which it is known, with that state in every frame.
        deviation: (2 nv,) standard deviation of its error.
        notes: what the reader should know.
    """

    recording: Trajectories
    deviation: Floats
    notes: tuple[str, ...]


def first_states(
    world: World, recording: Trajectories, state_deviation: float | Sequence[float], threads: int
) -> FirstStates:
    """Find the first states of episodes: those recorded, or else what the first readings tell (least squares).

    Episodes that begin with a clipped reading are left out, as it bounds the state on one side only.

    Args:
        world: the world, with the noise of its sensors.
        recording: episodes, with states or without.
        state_deviation: of the recorded states, as for `Predictor`; 0 where there are none.
        threads: physics threads; 0 means one per available core.

    Raises:
        GapError: the first readings leave a coordinate open that later readings depend on; every episode begins with a
            clipped reading.
        WorldError: the recording does not fit the world.
    """
    model = world.compile()
    reader = _FirstReadings(world, recording, threads)
    notes = []
    if recording.qpos.shape[2] or recording.qvel.shape[2]:
        deviation = _by_coordinate(state_deviation, int(model.nv))
        states = np.concatenate([recording.qpos[:, 0], recording.qvel[:, 0]], axis=1)
        known = np.ones(len(recording), dtype=bool)
    else:
        if np.any(state_deviation):
            raise GapError("the recording has no states: leave state_deviation out, the noise of the sensors tells it")
        states, spread, seen = reader.estimate()
        names = np.array(coordinate_names(model))
        open_ = ~seen.any(axis=0)
        deviation = np.sqrt(np.median(np.einsum("eii->ei", spread)[seen.sum(axis=1) == seen.sum(axis=1).max()], axis=0))
        known = seen.sum(axis=1) == seen.sum(axis=1).max()
        if open_.any():
            moved_by = np.where(open_, 1e-3, 0.0)
            there = reader.recorded(states, recording)
            late = HiddenPredictor(world, Ensemble.nominal(), moved_by.tolist(), threads).sensitivity(
                there, _LOOK_AHEAD
            )
            matter = open_ & (np.abs(late) > 1e-9).any(axis=(0, 2))
            if matter.any():
                raise GapError(
                    f"there is no first state, and the first readings leave open: {listed(names[matter])}, which later "
                    "readings depend on; record states, or add sensors that see them"
                )
            notes.append(f"no sensor sees {listed(names[open_])}")
        notes.append("the first state of an episode is what its first reading tells")
    clipped = reader.clipped(states, deviation) | ~known
    if clipped.all():
        raise GapError("every episode begins with a clipped reading, which bounds the first state on one side only")
    if clipped.any():
        out = listed([str(episode) for episode in np.flatnonzero(clipped)])
        notes.append(f"episodes that begin with a clipped reading are left out: {out}")
    kept = np.flatnonzero(~clipped)
    return FirstStates(reader.recorded(states, recording).select(kept), deviation, tuple(notes))


class _FirstReadings:
    """The first readings of some episodes, and what the sensors would read in other states.

    Args:
        world: the world.
        recording: the episodes.
        threads: physics threads; 0 means one per available core.
    """

    def __init__(self, world: World, recording: Trajectories, threads: int) -> None:
        self._world, self._threads, self._model = world, threads, world.compile()
        self._starts = _starts(recording)
        predictor = Predictor(world, Ensemble.nominal(), 0.0, threads)
        columns = [world.sensors.index(name) for name in recording.sensors]
        parameters = predictor.parameters()
        self._reading = recording.observations[:, 0] - parameters.biases[0, columns]
        self._noise = parameters.deviations[0, columns]

    def recorded(self, states: Floats, recording: Trajectories) -> Trajectories:
        """Return a recording with given states (episodes, nq + nv) in every frame."""
        frames = recording.observations.shape[1]
        qpos, qvel = np.split(np.repeat(states[:, None], frames, axis=1), [self._model.nq], axis=2)
        return replace(recording, qpos=qpos, qvel=qvel)

    def read(self, states: Floats) -> Floats:
        """Return (m, episodes, d) the readings in states (m, episodes, nq + nv), in units of the noise."""
        m, n = states.shape[:2]
        starts = self._starts.select(np.tile(np.arange(n), m))
        at = self.recorded(states.reshape(m * n, -1), starts)
        seen = observe_states(self._world, at, threads=self._threads)[0, :, 0]
        return np.asarray(seen.reshape(m, n, -1) / self._noise)

    def around(self, states: Floats, steps: Floats) -> Floats:
        """Return (2, 2 nv, episodes, d) the readings a step beyond each coordinate, and one below."""
        k, nq = len(steps), self._model.nq
        along = np.concatenate([np.diag(steps), -np.diag(steps)])[:, None]
        qpos = positions_moved(self._model, states[:, :nq], along[..., : k // 2])
        qvel = states[:, nq:] + along[..., k // 2 :]
        return self.read(np.concatenate([qpos, qvel], axis=2)).reshape(2, k, len(states), -1)

    def estimate(self) -> tuple[Floats, Floats, Bools]:
        """Estimate the states from the first readings by Gauss and Newton's method, from the model's own position.

        Returns:
            (episodes, nq + nv) states, (episodes, 2 nv, 2 nv) covariances of their errors, and (episodes, 2 nv) if a
            reading tells each coordinate.
        """
        nq, k = self._model.nq, 2 * self._model.nv
        target = self._reading / self._noise
        states = np.tile(np.concatenate([self._model.qpos0, np.zeros(self._model.nv)]), (len(target), 1))
        steps = np.full(k, 1e-4)
        for _ in range(_NEWTON):
            slope, off = self._slope(states, steps), target - self.read(states[None])[0]
            step = np.einsum("ekd,ed->ek", np.linalg.pinv(slope, rcond=1e-6), off)
            qpos = positions_moved(self._model, states[:, :nq], step[:, : k // 2])
            states = np.concatenate([qpos, states[:, nq:] + step[:, k // 2 :]], axis=1)
            if np.abs(step).max() < 1e-9:
                break
        slope = self._slope(states, steps)
        inverse = np.linalg.pinv(slope, rcond=1e-6)
        seen: Bools = np.einsum("eij,eji->ei", inverse, slope) > 0.99
        return states, np.asarray(inverse @ np.swapaxes(inverse, 1, 2), dtype=np.float64), seen

    def _slope(self, states: Floats, steps: Floats) -> Floats:
        """Return (episodes, d, 2 nv) the derivatives of the readings."""
        ends = self.around(states, steps)
        return np.moveaxis((ends[0] - ends[1]) / (2 * steps[:, None, None]), 0, 2)

    def clipped(self, states: Floats, deviation: Floats) -> Bools:
        """Return (episodes,) if a reading changes on one side of a state only, over three deviations."""
        beyond, below = np.abs(self.around(states, 3 * deviation) - self.read(states[None])[0])
        more, less = np.maximum(beyond, below), np.minimum(beyond, below)
        return np.asarray(((more > 1.0) & (less < 0.1 * more)).any(axis=(0, 2)))


def _require_followable(
    sensors: Sequence[str], chains: tuple[tuple[NoiseChain, ...], ...], parameters: SensorParameters, columns: list[int]
) -> None:
    """Refuse sensors that a Kalman filter cannot follow.

    Raises:
        GapError: noise that is not plainly Gaussian.
        WorldError: a reading that is late, stuck, or says nothing of the state, as its gain is 0.
    """
    odd = [name for name, *of in zip(sensors, *chains, strict=True) if not all(chain.plain for chain in of)]
    if odd:
        raise GapError(f"hidden states are followed through Gaussian noise only, not that of: {listed(odd)}")
    faults = {
        "in time": parameters.delays,
        "that are not stuck": parameters.stuck,
        "with a gain": parameters.gains == 0,
    }
    for wanted, values in faults.items():
        names = [name for name, column in zip(sensors, columns, strict=True) if values[:, column].any()]
        if names:
            raise WorldError(f"hidden states are followed through sensors {wanted}, these are not: {listed(names)}")
