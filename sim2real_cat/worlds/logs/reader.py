"""Recorded logs as trajectories: read, converted to the model's units, checked, and put on the control period."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.worlds.fields import matches
from sim2real_cat.worlds.logs.clocks import Clock, Clocks, split_at_gaps
from sim2real_cat.worlds.logs.formats import read_tables
from sim2real_cat.worlds.logs.mapping import Channel, LogMapping
from sim2real_cat.worlds.logs.resampling import (
    Series,
    grid,
    held,
    linear,
    on_grid,
    unwrapped,
)
from sim2real_cat.worlds.logs.tables import Table
from sim2real_cat.worlds.logs.targets import Target, Targets, resolve
from sim2real_cat.worlds.logs.times import TimeReport, refuse_gaps, report, summary
from sim2real_cat.worlds.trajectories import Array, Trajectories

_EVEN = 0.01
"""Part of a period by which rows may miss an even grid and still be taken for control steps without resampling."""

GROUPS = ("qpos", "qvel", "observation", "action")
"""The arrays that channels fill."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One recorded episode on its control steps; frames are one more than steps."""

    arrays: dict[str, Array]
    reward: Array
    terminated: bool
    policy: str
    period: float
    resampled: bool


def read_mapped(paths: Sequence[Path], mapping: LogMapping) -> Trajectories:
    """Read logs whose columns a mapping explains.

    Args:
        paths: files or folders; their episodes are joined in this order.
        mapping: what the columns mean.

    Raises:
        WorldError: columns, names, units or timestamps that do not fit.
        ExchangeError: a file that is missing, cut short, or of no known format.
    """
    model = mapping.world.compile() if mapping.world is not None else None
    targets = resolve(mapping, model)
    columns = _columns(mapping)
    episodes: list[Episode] = []
    notes: list[str] = []
    for path in paths:
        reports: list[TimeReport] = []
        remarks: dict[str, None] = {}
        before = len(episodes)
        for table in read_tables(path, columns, mapping.delimiter, mapping.decimal_point):
            for part in _parts(table, mapping):
                clocks = Clocks(part, mapping.time)
                episodes.append(_episode(part, clocks, mapping, targets, path))
                reports += [clock.report for clock in clocks.all]
                comparison = clocks.comparison()
                if comparison is not None:
                    remarks[f"{part.place}: {comparison}"] = None
        resampled = sum(episode.resampled for episode in episodes[before:])
        notes.append(f"read from {path.name}{_digest(path)}: {summary(reports)}")
        notes += remarks
        if resampled:
            notes.append(
                f"{path.name}: {resampled} of {len(episodes) - before} episodes resampled to "
                f"{mapping.control_period:g} s, states and sensors linearly, actions held"
            )
    period = _common_period(episodes, mapping, notes)
    return _stacked(episodes, mapping, targets, period, tuple(notes))


def _parts(table: Table, mapping: LogMapping) -> Iterator[Table]:
    """The episodes of a table, as tables."""
    column = mapping.episode_column or table.episode_column
    tables = [table]
    if column is not None:
        values = table.columns[table.find(column)[0]]
        _, first, inverse = np.unique(values.astype(str), return_index=True, return_inverse=True)
        order = np.argsort(first)
        tables = [table.rows(np.flatnonzero(inverse == group)) for group in order]
    for part in tables:
        yield from split_at_gaps(part, mapping.time) if mapping.time.at_gaps == "split" else [part]


def _episode(table: Table, clocks: Clocks, mapping: LogMapping, targets: Targets, path: Path) -> Episode:
    """One table on its control steps."""
    groups = {name: _group(table, clocks, mapping, getattr(targets, name), name) for name in GROUPS}
    series = [one for group in groups.values() for _, one, _ in group]
    steps, resampled = _control_steps(table, groups, mapping)
    period = mapping.control_period
    if not resampled:
        shortest = min(len(one.times) for name in GROUPS[:3] for _, one, _ in groups[name])
        period = period or float(series[0].times[-1] - series[0].times[0]) / (len(series[0].times) - 1)
        steps = steps[:shortest]
    assert period is not None
    widths = {"qpos": targets.sizes[0], "qvel": targets.sizes[1]}
    widths |= {"observation": len(targets.sensors), "action": len(targets.actuators)}
    arrays = {}
    for name, group in groups.items():
        at = steps[:-1] if name == "action" else steps
        filled = np.full((len(at), widths[name]), np.nan)
        for target, one, _ in group:
            if not resampled:
                values = one.values[: len(at)]
            else:
                values = held(one, at, period) if name == "action" else linear(one, at)
            filled[:, target.columns] = values
        arrays[name] = filled
    if resampled and arrays["qpos"].shape[1]:
        _normalise(arrays["qpos"], targets.quaternions)
    reward, terminated = _ending(table, clocks, mapping, resampled, len(steps) - 1)
    return Episode(arrays, reward, terminated, _policy(table, mapping, path), period, resampled)


Group = list[tuple[Target, Series, Clock]]


def _group(table: Table, clocks: Clocks, mapping: LogMapping, targets: Sequence[Target], name: str) -> Group:
    """The series of every channel of one array."""
    found = []
    for target in targets:
        clock = clocks.of(target.channel)
        found.append((target, _series(table, clock, mapping, target, name == "action"), clock))
    return found


def _series(table: Table, clock: Clock, mapping: LogMapping, target: Target, action: bool) -> Series:
    """One channel in the model's units, without the rows in which it has no value."""
    channel = target.channel
    raw = np.concatenate([table.numbers(text) for text in channel.columns], axis=1)
    if raw.shape[1] != len(target.columns):
        raise WorldError(
            f"{table.place}: '{target.name}' has {len(target.columns)} numbers a row, "
            f"{', '.join(channel.columns)} {raw.shape[1]}"
        )
    rows = clock.rows[clock.rows < len(raw)]
    allowed = len(clock.rows) - (1 if action else 0)
    if len(rows) < allowed:
        raise WorldError(f"{table.place}: '{channel.columns[0]}' has {len(raw)} rows, its timestamps {len(clock.rows)}")
    times, raw = clock.times[: len(rows)], raw[rows]
    bad = ~np.isfinite(raw).all(axis=1)
    if action and len(bad) == len(clock.rows):
        bad[-1:] = False  # nobody acts after the last row
    if bad.any():
        if mapping.missing == "refuse":
            where = table.label(int(rows[np.argmax(bad)]))
            raise WorldError(
                f"{table.place}, {where}: '{channel.columns[0]}' has no value (NaN, infinite or empty), in "
                f'{int(bad.sum())} of {len(bad)} rows; cut them out, or set missing = "drop"'
            )
        times, raw, rows = times[~bad], raw[~bad], rows[~bad]
        if len(times) < 2:
            raise WorldError(f"{table.place}: '{channel.columns[0]}' has {len(times)} values; an episode needs two")
        if mapping.time.at_gaps == "refuse":
            found = report(times, mapping.time.longest_gap)
            refuse_gaps(found, times, table.place, channel.columns[0], lambda row: table.label(int(rows[row])))
    values = target.factor * (raw - channel.zero)
    return Series(times, unwrapped(values) if channel.unwrap else values)


def _control_steps(table: Table, groups: dict[str, Group], mapping: LogMapping) -> tuple[Array, bool]:
    """The times of the control steps, and whether the rows have to be resampled to them."""
    frames = [entry for name in GROUPS[:3] for entry in groups[name]]
    everything = frames + groups["action"]
    times = frames[0][1].times
    clock = frames[0][2]
    together = all(np.array_equal(one.times, times[: len(one.times)]) for _, one, _ in everything)
    period = mapping.control_period
    if together and period is not None and on_grid(times, period, clock.resolution):
        return times, False
    if period is None or mapping.resampling == "none":
        if not together:
            raise WorldError(
                f"{table.place}: its columns were not recorded at the same times; give a control_period to resample to"
            )
        _refuse_uneven(table, times, clock, mapping)
        return times, False
    starts = [float(one.times[0]) for _, one, _ in everything]
    ends = [float(one.times[-1]) for _, one, _ in frames]
    steps = grid(starts, ends, period)
    if len(steps) < 2:
        raise WorldError(
            f"{table.place}: its columns overlap for {max(min(ends) - max(starts), 0.0):.4g} s, less than the control "
            f"period of {period:g} s; check control_period and the unit of time"
        )
    return steps, True


def _refuse_uneven(table: Table, times: Array, clock: Clock, mapping: LogMapping) -> None:
    """Refuse rows that are no control steps: uneven ones, or those of another period than was asked for."""
    found = report(times, mapping.time.longest_gap)
    mean = float(times[-1] - times[0]) / (len(times) - 1)
    if mapping.control_period is not None and not math.isclose(mean, mapping.control_period, rel_tol=_EVEN):
        raise WorldError(
            f"{table.place}: its rows are {mean * 1e3:.4g} ms apart, the control_period is "
            f'{mapping.control_period * 1e3:.4g} ms; set resampling = "linear"'
        )
    if mapping.resampling == "linear" and found.uneven > _EVEN * mean + clock.resolution:
        raise WorldError(
            f"{table.place}: '{clock.name}' is uneven (period {found.period * 1e3:.4g} ms, jitter "
            f"{found.jitter * 1e3:.3g} ms, up to {found.uneven * 1e3:.3g} ms off); give a control_period to resample "
            f'to, or set resampling = "none"'
        )


def _ending(table: Table, clocks: Clocks, mapping: LogMapping, resampled: bool, steps: int) -> tuple[Array, bool]:
    """The rewards of every step, NaN where they are not recorded, and whether the task ended the episode."""
    reward, terminated = np.full(steps, np.nan), False
    if mapping.reward is not None:
        if resampled:
            raise WorldError(f"{table.place}: rewards belong to their rows and cannot be resampled; leave reward out")
        channel = mapping.reward
        target = Target("reward", channel, channel.sign * channel.scale, (0,))
        reward = _series(table, clocks.of(channel), mapping, target, action=True).values[:steps, 0]
    if mapping.terminated is not None:
        flags = np.concatenate([table.numbers(text) for text in mapping.terminated.columns], axis=1)
        terminated = bool((np.nan_to_num(flags) != 0).any())
    return reward, terminated


def _policy(table: Table, mapping: LogMapping, path: Path) -> str:
    """Who acted in an episode."""
    if mapping.policy_column is not None:
        found = list(dict.fromkeys(str(value) for value in table.columns[table.find(mapping.policy_column)[0]]))
        if len(found) > 1:
            raise WorldError(f"{table.place}: two policies act in one episode, '{found[0]}' and '{found[1]}'")
        return found[0]
    if mapping.policies:
        for pattern, name in mapping.policies.items():
            if matches(path.name, pattern):
                return name
        raise WorldError("[policies]: " + unknown_name("file", path.name, mapping.policies))
    return mapping.policy


def _common_period(episodes: Sequence[Episode], mapping: LogMapping, notes: list[str]) -> float:
    """The control period of all episodes; that of the world where the rows have it up to their jitter."""
    if mapping.control_period is not None:
        return mapping.control_period
    periods = np.array([episode.period for episode in episodes])
    period = float(np.median(periods))
    if (np.abs(periods - period) > _EVEN * period).any():
        raise WorldError(
            f"episodes of different periods, from {periods.min() * 1e3:.4g} to {periods.max() * 1e3:.4g} ms; give a "
            f"control_period to resample to"
        )
    if mapping.world is not None:
        own = mapping.world.substeps * float(mapping.world.compile().opt.timestep)
        if period != own and math.isclose(period, own, rel_tol=_EVEN):
            notes.append(f"rows {period:.9g} s apart are taken for the world's control period of {own:g} s")
            return own
    return period


def _stacked(
    episodes: Sequence[Episode], mapping: LogMapping, targets: Targets, period: float, notes: tuple[str, ...]
) -> Trajectories:
    n = len(episodes)
    lengths = np.array([len(episode.reward) for episode in episodes], dtype=np.int64)
    longest = int(lengths.max(initial=0))

    def padded(arrays: Sequence[Array], frames: int) -> Array:
        out = np.full((n, frames, *arrays[0].shape[1:]), np.nan)
        for i, array in enumerate(arrays):
            out[i, : len(array)] = array
        return out

    return Trajectories(
        observations=padded([episode.arrays["observation"] for episode in episodes], longest + 1),
        actions=padded([episode.arrays["action"] for episode in episodes], longest),
        rewards=padded([episode.reward for episode in episodes], longest),
        qpos=padded([episode.arrays["qpos"] for episode in episodes], longest + 1),
        qvel=padded([episode.arrays["qvel"] for episode in episodes], longest + 1),
        lengths=lengths,
        terminated=np.array([episode.terminated for episode in episodes], dtype=bool),
        diverged=np.zeros(n, dtype=bool),
        member_index=np.zeros(n, dtype=np.int64),
        policies=tuple(episode.policy for episode in episodes),
        sensors=targets.sensors,
        actuators=targets.actuators,
        control_period=period,
        notes=notes,
    )


def _normalise(qpos: Array, quaternions: Sequence[int]) -> None:
    """Bring interpolated rotations back to unit length, in place."""
    for first in quaternions:
        part = qpos[:, first : first + 4]
        part /= np.linalg.norm(part, axis=1, keepdims=True)


def _columns(mapping: LogMapping) -> list[str]:
    """Every column that a mapping names."""
    channels: list[Channel] = [*mapping.state.values(), *mapping.observation.values(), *mapping.action.values()]
    channels += [channel for channel in (mapping.reward, mapping.terminated) if channel is not None]
    named = [text for channel in channels for text in (*channel.columns, channel.time or "")]
    time = mapping.time
    named += [name or "" for name in (time.column, time.second_clock, mapping.episode_column, mapping.policy_column)]
    return [name for name in dict.fromkeys(named) if name]


def _digest(path: Path) -> str:
    """The SHA-256 of a file, shortened, for the notes; nothing for a folder."""
    return f" (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})" if path.is_file() else ""
