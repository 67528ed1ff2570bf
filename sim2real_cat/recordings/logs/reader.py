"""Logs as trajectories: read, converted to the model's units, checked, and put on the control steps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import ExchangeError, WorldError, unknown_name
from sim2real_cat.model_names import matches
from sim2real_cat.recordings.logs.alterations import Alterations
from sim2real_cat.recordings.logs.clocks import Clocks, TimeReport, split_at_gaps, summary
from sim2real_cat.recordings.logs.episode import EVEN, Episode, read_episode
from sim2real_cat.recordings.logs.mapping import Channel, LogMapping
from sim2real_cat.recordings.logs.plausibility import warn_of_the_unlikely
from sim2real_cat.recordings.logs.tables import Column, LogTable, read_tables
from sim2real_cat.recordings.logs.targets import Targets, find_targets
from sim2real_cat.recordings.parquet import check_episodes, read_trajectories
from sim2real_cat.recordings.trajectories import Trajectories

if TYPE_CHECKING:
    import mujoco


def read_log(
    path: str | Path | Sequence[str | Path], mapping: LogMapping | None = None, *, episodes: slice | None = None
) -> Trajectories:
    """Read recorded episodes.

    Args:
        path: without a mapping, a file that `write_log` or `rollout_to_parquet` wrote. With one, a log of any robot: a
            CSV, Parquet, npz, Minari HDF5 or MCAP file, a folder of LeRobot v3, Minari or a ROS 2 bag, or several of
            them, whose episodes are joined.
        mapping: which joint, sensor or actuator each column is, in which unit; how timestamps are read.
        episodes: which episodes, as in ``slice(100, 200)``; all where none are given. The rest of a file of ours is
            not decoded.

    Raises:
        ExchangeError: a file is missing, truncated, or not what it claims to be; it needs a mapping and has none; or
            `episodes` is no slice, or one with a stride.
        WorldError: columns, names, units or timestamps that do not fit the mapping.
        EngineError: the format needs a package that is not installed.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise ExchangeError("no log to read: the list of paths is empty; give one path or more")
    check_episodes(paths[0], episodes)
    if mapping is not None:
        _refuse_no_mapping(mapping)
        recorded = _read_mapped([Path(one) for one in paths], mapping)
        return recorded if episodes is None else recorded.select(np.arange(len(recorded))[episodes])
    if not isinstance(path, str | Path):
        raise ExchangeError("several logs can be read at once with a mapping only; read and concatenate them")
    return read_trajectories(Path(path), episodes)


def _refuse_no_mapping(mapping: object) -> None:
    """Refuse something else in the place of a mapping."""
    if isinstance(mapping, str | Path):
        raise WorldError(f"mapping is a LogMapping, got a path; give LogMapping.from_toml({str(mapping)!r}, world)")
    if isinstance(mapping, Mapping):
        raise WorldError("mapping is a LogMapping, got a table; give LogMapping.from_table(table, world)")
    if not isinstance(mapping, LogMapping):
        raise WorldError(f"mapping is a LogMapping, got {mapping!r}; give LogMapping.from_toml(path, world)")


def _read_mapped(paths: Sequence[Path], mapping: LogMapping) -> Trajectories:
    """Read logs whose columns a mapping explains; their episodes are joined in the order of the paths."""
    model = mapping.world.compile() if mapping.world is not None else None
    targets = find_targets(mapping, model)
    columns = _columns(mapping)
    episodes: list[Episode] = []
    policies: list[str] = []
    notes: list[str] = []
    for path in paths:
        reports: dict[str, list[TimeReport]] = {}
        remarks: dict[str, None] = {}
        alterations = Alterations()
        before = len(episodes)
        tables = read_tables(path, columns, mapping.delimiter, mapping.decimal_point)
        for table in tables:
            done = Alterations()
            for part in _parts(table, mapping, done):
                clocks = Clocks(part, mapping.time)
                episodes.append(read_episode(part, clocks, mapping, targets))
                done.add(episodes[-1].alterations)
                policies.append(_policy(part, mapping, path))
                for name, found in clocks.reports().items():
                    reports.setdefault(name, []).append(found)
                comparison = clocks.comparison()
                if comparison is not None:
                    remarks[f"{part.place}: {comparison}"] = None
            if len(tables) > 1:
                done.within(table.place.rpartition(", ")[2])
            alterations.add(done)
        resampled = sum(episode.resampled for episode in episodes[before:])
        notes.append(f"read from {path.name}{_digest(path)}")
        notes += [f"{path.name}, {_clock(name, mapping)}: {summary(each)}" for name, each in reports.items()]
        notes += [f"{path.name}: {each}" for each in alterations.notes()]
        notes += remarks
        if resampled:
            notes.append(
                f"{path.name}: {resampled} of {len(episodes) - before} episodes resampled to "
                f"{mapping.control_period:g} s, states and sensors linearly, actions held"
            )
    place = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if not episodes:
        raise WorldError(f"{place}: no episode in it; it has no row, or none within longest_gap of another, check both")
    period = _common_period(episodes, mapping, model, notes)
    recording = _stacked(episodes, policies, targets, period, tuple(notes))
    if mapping.world is not None and model is not None:
        warn_of_the_unlikely(recording, mapping.world, model, place)
    return recording


def _parts(table: LogTable, mapping: LogMapping, alterations: Alterations) -> Iterator[LogTable]:
    """Cut a table into its episodes; gaps at which it was split are counted."""
    column = mapping.episode_column or table.episode_column
    tables = [table]
    if column is not None:
        values = _numbered(table, column)
        _, first, inverse, counts = np.unique(
            values.astype(str), return_index=True, return_inverse=True, return_counts=True
        )
        grouped = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
        tables = [table.rows(grouped[group]) for group in np.argsort(first)]
    for part in tables:
        yield from split_at_gaps(part, mapping.time, alterations) if mapping.time.at_gaps == "split" else [part]


def _numbered(table: LogTable, column: str) -> Column:
    """Return the episode of every row, (rows,).

    Raises:
        WorldError: no such column, several numbers a row, or a row without an episode.
    """
    name, chosen = table.find(column)
    values = table.columns[name] if chosen is None else table.columns[name][:, chosen]
    if values.ndim == 2:
        if values.shape[1] != 1 and len(values):
            raise WorldError(
                f"{table.place}: '{column}' has {values.shape[1]} numbers a row, an episode needs one; write {name}[0]"
            )
        values = values.reshape(-1)
    bad = np.zeros(len(values), dtype=bool)
    if values.dtype.kind == "O":
        bad = np.array([value is None for value in values], dtype=bool)
    elif values.dtype.kind == "M":
        bad = np.isnat(values)
    elif values.dtype.kind == "f":
        bad = ~(np.isfinite(values) & (values == np.floor(values)))
    if bad.any():
        row = int(np.argmax(bad))
        raise WorldError(
            f"{table.place}, {table.label(row)}: '{column}' names no episode, got {values[row]}; give every row a "
            f"whole number or a text, or cut it out"
        )
    return np.asarray(values)


def _policy(table: LogTable, mapping: LogMapping, path: Path) -> str:
    """Return the name of the policy that acted in an episode."""
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


def _common_period(
    episodes: Sequence[Episode], mapping: LogMapping, model: mujoco.MjModel | None, notes: list[str]
) -> float:
    """Return the control period of all episodes; that of the world where the rows have it up to their jitter."""
    if mapping.control_period is not None:
        return mapping.control_period
    periods = np.array([episode.period for episode in episodes])
    period = float(np.median(periods))
    if (np.abs(periods - period) > EVEN * period).any():
        raise WorldError(
            f"episodes of different periods, from {periods.min() * 1e3:.4g} to {periods.max() * 1e3:.4g} ms; give a "
            f"control_period to resample to"
        )
    if mapping.world is not None and model is not None:
        own = mapping.world.substeps * float(model.opt.timestep)
        if period != own and math.isclose(period, own, rel_tol=EVEN):
            notes.append(f"rows {period:.9g} s apart are taken for the world's control period of {own:g} s")
            return own
    return period


def _stacked(
    episodes: Sequence[Episode], policies: Sequence[str], targets: Targets, period: float, notes: tuple[str, ...]
) -> Trajectories:
    """Stack episodes to trajectories, padded with NaN to the longest."""
    n = len(episodes)
    lengths = np.array([len(episode.arrays["action"]) for episode in episodes], dtype=np.int64)
    longest = int(lengths.max(initial=0))

    def padded(arrays: Sequence[Floats], frames: int) -> Floats:
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
        policies=tuple(policies),
        sensors=targets.sensors,
        actuators=targets.actuators,
        control_period=period,
        notes=notes,
    )


def _columns(mapping: LogMapping) -> list[str]:
    """Return every column that a mapping names."""
    channels: list[Channel] = [*mapping.state.values(), *mapping.observation.values(), *mapping.action.values()]
    channels += [channel for channel in (mapping.reward, mapping.terminated) if channel is not None]
    named = [text for channel in channels for text in (*channel.columns, channel.time or "")]
    time = mapping.time
    named += [name or "" for name in (time.column, time.second_clock, mapping.episode_column, mapping.policy_column)]
    return [name for name in dict.fromkeys(named) if name]


def _clock(name: str, mapping: LogMapping) -> str:
    """Return words for the clock of some rows, for the notes."""
    if name:
        return f"timestamps '{name}'"
    return "rows without timestamps" if mapping.time.period is None else "rows without timestamps, as the mapping says"


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, shortened, for the notes; '' for a folder."""
    return f" (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})" if path.is_file() else ""
