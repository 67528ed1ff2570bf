"""Episodes: one table of a log in the model's units, on the grid of the control steps.

Series of several clocks come onto one even grid: states and sensors linearly, actions held.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Bools, Floats
from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.alterations import Alterations, EmptyRows, TimeGaps, some_rows
from sim2real_cat.recordings.logs.clocks import Clock, Clocks, refuse_gaps, time_report
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.tables import LogTable
from sim2real_cat.recordings.logs.targets import Target, Targets

EVEN = 0.01
"""Part of a period by which rows may miss an even grid and still count as control steps."""

_FRAMES = ("qpos", "qvel", "observation")
"""The arrays that channels fill at the ends of control steps; actions lie between them."""

_ON_TIME = 1e-6
"""Part of a control period by which a row may miss the grid and still be on it, less than any clock resolves."""


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one channel at their times.

    Attributes:
        times: (rows,) seconds, increasing.
        values: (rows, k).
    """

    times: Floats
    values: Floats


def grid(starts: Sequence[float], ends: Sequence[float], period: float) -> Floats:
    """Return the times of the control steps, from when every series has begun to when the first one ends."""
    start, end = max(starts), min(ends)
    steps = int(np.floor((end - start) / period + _ON_TIME)) if end > start else -1
    return np.asarray(start + period * np.arange(steps + 1))


def linear(series: Series, at: Floats, rotations: Sequence[int] = ()) -> Floats:
    """Interpolate linearly between the rows, (len(at), k).

    Args:
        series: the rows.
        at: (steps,) the times [s].
        rotations: columns at which the four of a unit quaternion begin; it is interpolated linearly, the shorter way
            round, and normalised.
    """
    values = series.values.copy()
    for first in rotations:
        values[:, first : first + 4] = _shorter_way(values[:, first : first + 4])
    columns = [np.interp(at, series.times, column) for column in values.T]
    out = np.stack(columns, axis=1)
    for first in rotations:
        out[:, first : first + 4] /= np.linalg.norm(out[:, first : first + 4], axis=1, keepdims=True)
    return out


def held(series: Series, at: Floats, period: float) -> Floats:
    """Return the last value before or at each time, (len(at), k), as an actuator holds it between two commands."""
    row = np.searchsorted(series.times, at + _ON_TIME * period, side="right") - 1
    return np.asarray(series.values[np.maximum(row, 0)])


def on_grid(times: Floats, period: float, resolution: float = 0.0) -> bool:
    """Return whether rows stand on an even grid, up to the resolution of the timestamps [s]."""
    even = times[0] + period * np.arange(len(times))
    return bool(np.abs(times - even).max(initial=0.0) <= _ON_TIME * period + resolution)


def _shorter_way(quaternions: Floats) -> Floats:
    """Return unit quaternions, (rows, 4), signed such that neighbours are near: q and -q are one rotation."""
    turned = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0, -1.0, 1.0)
    return np.asarray(quaternions * np.concatenate([[1.0], np.cumprod(turned)])[:, None])


@dataclass(frozen=True, eq=False)
class Episode:
    """One recorded episode on its control steps.

    Attributes:
        arrays: qpos (T + 1, nq), qvel (T + 1, nv), observation (T + 1, d) and action (T, nu).
        reward: (T,) NaN where none is recorded.
        terminated: whether the task ended the episode.
        period: seconds between two control steps.
        resampled: whether the rows were resampled to the control steps.
        alterations: the alterations of its rows.
    """

    arrays: dict[str, Floats]
    reward: Floats
    terminated: bool
    period: float
    resampled: bool
    alterations: Alterations


@dataclass(frozen=True, eq=False)
class _Filled:
    """A channel with its values in the model's units, their clock, and its rows without a value."""

    target: Target
    series: Series
    clock: Clock
    empty: EmptyRows | None


@dataclass(frozen=True, eq=False)
class _Steps:
    """The control steps of an episode."""

    times: Floats
    period: float
    resampled: bool


def read_episode(table: LogTable, clocks: Clocks, mapping: LogMapping, targets: Targets) -> Episode:
    """Convert the channels of one table and put them on the control steps.

    Raises:
        WorldError: a column is missing or has missing values, timestamps are out of order, or rows need resampling
            and the mapping does not allow it.
        ExchangeError: text where numbers are expected.
    """
    filled = {
        name: _fill_channels(table, clocks, mapping, getattr(targets, name), name) for name in (*_FRAMES, "action")
    }
    steps = _control_steps(table, filled, mapping)
    widths = {"qpos": targets.sizes[0], "qvel": targets.sizes[1]}
    widths |= {"observation": len(targets.sensors), "action": len(targets.actuators)}
    arrays = {name: _on_steps(entries, steps, widths[name], name) for name, entries in filled.items()}
    reward, terminated = _ending(table, clocks, mapping, steps)
    alterations = _alterations(table, clocks, mapping, steps, filled)
    return Episode(arrays, reward, terminated, steps.period, steps.resampled, alterations)


def _fill_channels(
    table: LogTable, clocks: Clocks, mapping: LogMapping, targets: Sequence[Target], name: str
) -> list[_Filled]:
    """Return the series of every channel of one array."""
    found = []
    for target in targets:
        clock = clocks.of(target.channel)
        series, empty = _series(table, clock, mapping, target, name)
        found.append(_Filled(target, series, clock, empty))
    return found


def _series(
    table: LogTable, clock: Clock, mapping: LogMapping, target: Target, name: str
) -> tuple[Series, EmptyRows | None]:
    """Return one channel in the model's units without its empty rows, and a count of those rows."""
    action, reward = name in ("action", "reward"), name == "reward"
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
    empty = None
    if bad.any():
        if mapping.missing == "refuse":
            where = table.label(int(rows[np.argmax(bad)]))
            raise WorldError(
                f"{table.place}, {where}: '{channel.columns[0]}' has no value (NaN, infinite or empty), in "
                f'{int(bad.sum())} of {len(bad)} rows; cut them out, or set missing = "drop" '
                f"at the top of the mapping, beside control_period"
            )
        empty = EmptyRows(some_rows(rows[bad], table.label), len(bad), _longest_hole(times, bad))
        times, raw, rows = times[~bad], raw[~bad], rows[~bad]
        if len(times) < 2 and (channel.derivative or not reward):
            raise WorldError(f"{table.place}: '{channel.columns[0]}' has {len(times)} values; an episode needs two")
        if mapping.time.at_gaps == "refuse" and not reward:  # nothing is interpolated in a reward's holes
            found = time_report(times, mapping.time.longest_gap)
            refuse_gaps(found, times, table.place, channel.columns[0], lambda row: table.label(int(rows[row])))
    values = target.factor * (raw - channel.zero)
    if channel.unwrap:  # the column jumps by a turn, before any gear
        values = channel.scale * np.unwrap(values / channel.scale, axis=0)
    if channel.derivative:
        values = np.gradient(values, times, axis=0)
    return Series(times, values), empty


def _longest_hole(times: Floats, bad: Bools) -> float:
    """Return the most seconds between two rows that are kept around rows that are dropped."""
    kept = np.flatnonzero(~bad)
    around = np.flatnonzero(np.diff(kept) > 1)
    return float((times[kept[around + 1]] - times[kept[around]]).max(initial=0.0))


def _control_steps(table: LogTable, filled: Mapping[str, Sequence[_Filled]], mapping: LogMapping) -> _Steps:
    """Return the control steps of an episode: its rows themselves where they fit, else steps on an even grid."""
    frames = [entry for name in _FRAMES for entry in filled[name]]
    longest = max(frames, key=lambda entry: len(entry.series.times))
    times, clock = longest.series.times, longest.clock
    rows = min(len(entry.series.times) for entry in frames)
    period = mapping.control_period
    together = all(_goes_with(entry.series.times, times) for entries in filled.values() for entry in entries)
    if together and period is not None and on_grid(times, period, clock.resolution):
        return _Steps(times[:rows], period, resampled=False)
    if period is None or mapping.resampling == "none":
        if not together:
            raise WorldError(
                f"{table.place}: its columns were not recorded at the same times; give a control_period to resample to"
            )
        return _Steps(times[:rows], _own_period(table, times, clock, mapping), resampled=False)
    starts = [float(entry.series.times[0]) for entries in filled.values() for entry in entries]
    ends = [float(entry.series.times[-1]) for entry in frames]
    steps = grid(starts, ends, period)
    if len(steps) < 2:
        raise WorldError(
            f"{table.place}: its columns overlap for {max(min(ends) - max(starts), 0.0):.4g} s, less than the control "
            f"period of {period:g} s; check control_period and the unit of time"
        )
    return _Steps(steps, period, resampled=True)


def _goes_with(times: Floats, longest: Floats) -> bool:
    """Return whether a series has the rows of the longest one; the last may be missing, as nobody acts there."""
    return len(times) >= len(longest) - 1 and np.array_equal(times, longest[: len(times)])


def _own_period(table: LogTable, times: Floats, clock: Clock, mapping: LogMapping) -> float:
    """Return the period of rows that are taken as control steps; uneven rows and other periods are refused."""
    found = time_report(times, mapping.time.longest_gap)
    mean = float(times[-1] - times[0]) / (len(times) - 1)
    if mapping.control_period is not None and not math.isclose(mean, mapping.control_period, rel_tol=EVEN):
        raise WorldError(
            f"{table.place}: its rows are {mean * 1e3:.4g} ms apart, the control_period is "
            f'{mapping.control_period * 1e3:.4g} ms; set resampling = "linear"'
        )
    if mapping.resampling == "linear" and found.uneven > EVEN * mean + clock.resolution:
        raise WorldError(
            f"{table.place}: '{clock.name}' is uneven (period {found.period * 1e3:.4g} ms, jitter "
            f"{found.jitter * 1e3:.3g} ms, up to {found.uneven * 1e3:.3g} ms off); give a control_period to resample "
            f'to, or set resampling = "none"'
        )
    if mapping.control_period is not None:
        return mapping.control_period
    if table.period is not None and on_grid(times, table.period, clock.resolution):
        return table.period
    return mean


def _on_steps(entries: Sequence[_Filled], steps: _Steps, width: int, name: str) -> Floats:
    """Return all channels of one array at the control steps."""
    at = steps.times[:-1] if name == "action" else steps.times
    out = np.full((len(at), width), np.nan)
    for entry in entries:
        if not steps.resampled:
            values = entry.series.values[: len(at)]
        else:
            hold = name == "action"
            values = held(entry.series, at, steps.period) if hold else linear(entry.series, at, entry.target.rotations)
        out[:, entry.target.columns] = values
    return out


def _ending(table: LogTable, clocks: Clocks, mapping: LogMapping, steps: _Steps) -> tuple[Floats, bool]:
    """Return the rewards of every step, NaN where not recorded, and whether the task ended the episode."""
    reward: Floats | None = np.full(len(steps.times) - 1, np.nan)
    if (channel := mapping.reward) is not None:
        target = Target("reward", channel, channel.sign * channel.scale, (0,))
        series = None if steps.resampled else _series(table, clocks.of(channel), mapping, target, "reward")[0]
        reward = None if series is None else _rewards(series, steps, mapping)
    if reward is None:
        raise WorldError(f"{table.place}: rewards belong to their rows and cannot be resampled; leave reward out")
    if mapping.terminated is None:
        return reward, False
    flags = np.concatenate([table.numbers(text) for text in mapping.terminated.columns], axis=1)
    return reward, bool((np.nan_to_num(flags) != 0).any())


def _rewards(series: Series, steps: _Steps, mapping: LogMapping) -> Floats | None:
    """Return the rewards of the steps, (T,), NaN in holes; None where their times are not those of the steps."""
    reward = np.full(len(steps.times) - 1, np.nan)
    step = np.searchsorted(steps.times, series.times)
    known, acted = step < len(steps.times), step < len(reward)
    late = np.count_nonzero(~known)  # a column of states may end a row earlier than the others
    if late > 1 or not np.array_equal(steps.times[step[known]], series.times[known]):
        return None
    if mapping.missing == "refuse" and np.count_nonzero(acted) < len(reward):
        return None
    reward[step[acted]] = series.values[acted, 0]
    return reward


def _alterations(
    table: LogTable, clocks: Clocks, mapping: LogMapping, steps: _Steps, filled: Mapping[str, Sequence[_Filled]]
) -> Alterations:
    """Count the rows that were dropped and the steps that stand in gaps."""
    found = Alterations()
    for clock in clocks.known():
        if len(clock.report.duplicates):
            dropped = clock.report.duplicates - (mapping.time.duplicates == "last")
            found.repeated[clock.name] = some_rows(dropped, table.label)
        if len(clock.report.gaps):
            gaps = TimeGaps(some_rows(clock.report.gaps, table.label))
            margin = _ON_TIME * steps.period
            for start, end in clock.gaps():
                gaps.longest = max(gaps.longest, end - start)
                inside = (steps.times > start + margin) & (steps.times < end - margin)
                gaps.steps += int(inside.sum())
            gaps.joined = 0 if steps.resampled else gaps.rows.count
            found.bridged[clock.name] = gaps
    for name, entries in filled.items():
        for entry in entries:
            if entry.empty is not None:
                if steps.resampled:
                    entry.empty.filled = ", the last one held" if name == "action" else ", interpolated in between"
                found.empty[entry.target.channel.columns[0]] = entry.empty
    return found
