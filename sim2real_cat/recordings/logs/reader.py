"""Logs as trajectories: read, converted to the model's units, put on the control steps, and checked.

Numbers that can be read but are hardly in the unit that the mapping gives are a `PlausibilityWarning`.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import ExchangeError, PlausibilityWarning, WorldError, unknown_name
from sim2real_cat.model_names import joints, matches, names
from sim2real_cat.recordings.logs.alterations import Alterations
from sim2real_cat.recordings.logs.clocks import Clocks, TimeReport, split_at_gaps, summary
from sim2real_cat.recordings.logs.episode import EVEN, Episode, read_episode
from sim2real_cat.recordings.logs.mapping import Channel, LogMapping, MappedWorld
from sim2real_cat.recordings.logs.tables import Column, LogTable, read_tables
from sim2real_cat.recordings.logs.targets import Targets, find_targets
from sim2real_cat.recordings.parquet import check_episodes, read_trajectories
from sim2real_cat.recordings.trajectories import Trajectories

if TYPE_CHECKING:
    import mujoco

_ALIKE = 0.8
"""Least correlation of velocities with the derivative of positions at which their ratio is judged."""

_RATIO = 1.5
"""Factor by which a ratio may miss its true value: filters and friction of sensors stay below it, units do not."""

_ANGLES = {
    180 / math.pi: "velocities look like deg/s, or positions need deg",
    math.pi / 180: "positions look like deg, or velocities need deg/s",
    30 / math.pi: "velocities look like rpm",
    1 / (2 * math.pi): "velocities look like turns per second",
    2 * math.pi: "positions look like turns",
}
_ANY = {
    1e3: "the unit of time looks off by 1000 (timestamps in ms?), or velocities by mm",
    1e6: "the unit of time looks off by 10^6 (timestamps in us?)",
    1e9: "the unit of time looks off by 10^9 (timestamps in ns?)",
    1e-3: "the unit of time looks off by 1000 (timestamps in s?), or positions by mm",
    1e-6: "the unit of time looks off by 10^6 (timestamps in s?)",
    1e-9: "the unit of time looks off by 10^9 (timestamps in s?)",
    1e2: "velocities look like cm/s",
    1e-2: "positions look like cm",
}
"""Explanations of the ratio of velocities to the derivative of positions: of hinges, and of every joint."""


def read_log(
    path: str | Path | Sequence[str | Path], mapping: LogMapping | None = None, *, episodes: slice | None = None
) -> Trajectories:
    """Read recorded episodes.

    Args:
        path: without a mapping, a file that `write_log` or `rollout_to_parquet` wrote. With one, a log of any robot: a
            CSV, Parquet, npz, Minari HDF5 or MCAP file, a folder of LeRobot v3, Minari or a ROS 2 bag, or several of
            them, whose episodes are joined.
        mapping: the joint, sensor or actuator of each column, its unit, and the reading of timestamps.
        episodes: the episodes to read, as in ``slice(100, 200)``; all where none are given. The rest of a file of
            ours is not decoded.

    Raises:
        ExchangeError: a file is missing, truncated, or not what it claims to be; it needs a mapping and has none; or
            `episodes` is not a slice, or has a stride.
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
    """Refuse a mapping that is not a `LogMapping`, such as the path of one."""
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
    episodes: list[Episode] = []
    policies: list[str] = []
    notes: list[str] = []
    for path in paths:
        read, acted, noted = _read_file(path, mapping, targets)
        episodes += read
        policies += acted
        notes += noted
    place = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if not episodes:
        raise WorldError(f"{place}: no episode in it; it has no row, or none within longest_gap of another, check both")
    period = _common_period(episodes, mapping, model, notes)
    recording = _stacked(episodes, policies, targets, period, tuple(notes))
    if mapping.world is not None and model is not None:
        _warn_of_the_unlikely(recording, mapping.world, model, place)
    return recording


def _read_file(path: Path, mapping: LogMapping, targets: Targets) -> tuple[list[Episode], list[str], list[str]]:
    """Return the episodes of one file or folder, the policy that acted in each, and notes on the reading."""
    episodes: list[Episode] = []
    policies: list[str] = []
    reports: dict[str, list[TimeReport]] = {}
    remarks: dict[str, None] = {}
    alterations = Alterations()
    tables = read_tables(path, _columns(mapping), mapping.delimiter, mapping.decimal_point)
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
    notes = [f"read from {path.name}{_digest(path)}"]
    notes += [f"{path.name}, {_clock(name, mapping)}: {summary(each)}" for name, each in reports.items()]
    notes += [f"{path.name}: {each}" for each in alterations.notes()]
    notes += remarks
    resampled = sum(episode.resampled for episode in episodes)
    if resampled:
        notes.append(
            f"{path.name}: {resampled} of {len(episodes)} episodes resampled to {mapping.control_period:g} s, states "
            "and sensors linearly, actions held"
        )
    return episodes, policies, notes


def _columns(mapping: LogMapping) -> list[str]:
    """Return every column that a mapping names."""
    channels: list[Channel] = [*mapping.state.values(), *mapping.observation.values(), *mapping.action.values()]
    channels += [channel for channel in (mapping.reward, mapping.terminated) if channel is not None]
    named = [text for channel in channels for text in (*channel.columns, channel.time or "")]
    time = mapping.time
    named += [name or "" for name in (time.column, time.second_clock, mapping.episode_column, mapping.policy_column)]
    return [name for name in dict.fromkeys(named) if name]


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


def _clock(name: str, mapping: LogMapping) -> str:
    """Return words for the clock of some rows, for the notes; `name` is '' where rows have no timestamps."""
    if name:
        return f"timestamps '{name}'"
    return "rows without timestamps" if mapping.time.period is None else "rows without timestamps, as the mapping says"


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, shortened, for the notes; '' for a folder."""
    return f" (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})" if path.is_file() else ""


def _common_period(
    episodes: Sequence[Episode], mapping: LogMapping, model: mujoco.MjModel | None, notes: list[str]
) -> float:
    """Return the control period of all episodes; exactly the world's where the rows have it up to their jitter."""
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


def _warn_of_the_unlikely(recording: Trajectories, world: MappedWorld, model: mujoco.MjModel, place: str) -> None:
    """Warn of recorded numbers whose unit, sign or clock looks wrong; a `PlausibilityWarning` each.

    Args:
        recording: episodes in the units of the model.
        world: the world that the log was mapped to.
        model: its model.
        place: the log, for messages.
    """
    checks = (
        _unlikely_velocities,
        _unlikely_ranges,
        _unlikely_rotations,
        _unlikely_falls,
        _unlikely_accelerometers,
        _unlikely_commands,
    )
    found = [message for check in checks for message in check(recording, model)]
    found += _unlikely_period(recording, world, model)
    for message in found:
        warnings.warn(f"{place}: {message}", PlausibilityWarning, stacklevel=4)


def _unlikely_velocities(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Compare velocities with the derivative of positions, joint by joint."""
    if not recording.qvel.shape[2]:
        return
    for joint in joints(model):
        if not joint.name or joint.kind == "ball":
            continue
        count = 3 if joint.kind == "free" else 1
        positions = recording.qpos[:, :, joint.qpos[:count]]
        velocities = recording.qvel[:, :, joint.qvel[:count]]
        ratio = _velocity_ratio(positions, velocities, recording.control_period)
        if ratio is None:
            continue
        known = _ANY | _ANGLES if joint.kind == "hinge" else _ANY
        if ratio < 0:
            yield (
                f"joint '{joint.name}': the velocities have the opposite sign of the positions' derivative; check sign"
            )
        elif not 1 / _RATIO < ratio < _RATIO:
            meaning = next((text for value, text in known.items() if 0.8 < ratio / value < 1.25), "check both units")
            yield f"joint '{joint.name}': velocities are {ratio:.3g} times the derivative of the positions; {meaning}"


def _velocity_ratio(positions: Floats, velocities: Floats, period: float) -> float | None:
    """Return the ratio of velocities to the derivative of positions, (n, frames, k); None where they are not alike."""
    derivative = (positions[:, 2:] - positions[:, :-2]) / (2 * period)
    measured = velocities[:, 1:-1]
    both = np.isfinite(derivative) & np.isfinite(measured)
    derivative, measured = derivative[both], measured[both]
    size = float(np.linalg.norm(derivative) * np.linalg.norm(measured))
    product = float(derivative @ measured)
    if size == 0 or abs(product) / size < _ALIKE:
        return None
    # least squares that takes the velocities as given: the derivative of quantised positions is mostly noise
    return float(measured @ measured) / product


def _unlikely_ranges(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Find positions far outside the limits that the model gives their joint."""
    if not recording.qpos.size:
        return
    for i, joint in enumerate(joints(model)):
        if not joint.name or not model.jnt_limited[i] or joint.kind not in ("hinge", "slide"):
            continue
        low, high = (float(end) for end in model.jnt_range[i])
        largest = float(np.nanmax(np.abs(recording.qpos[:, :, joint.qpos[0]])))
        if largest > 5 * max(abs(low), abs(high)):
            unit = "rad, as deg would" if joint.kind == "hinge" else "m, as mm would"
            span = f"{low:.3g}..{high:.3g}"
            yield f"joint '{joint.name}': positions reach {largest:.4g} {unit}; its range in the model is {span}"


def _unlikely_rotations(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Find quaternions whose length is not 1."""
    if not recording.qpos.size:
        return
    for joint in joints(model):
        if not joint.quaternion:
            continue
        norms = np.linalg.norm(recording.qpos[:, :, joint.quaternion], axis=2)
        worst = float(norms.ravel()[np.nanargmax(np.abs(norms - 1))])
        if abs(worst - 1) > 0.01:
            yield f"joint '{joint.name}': a rotation has length {worst:.4g}, a unit quaternion 1"


def _unlikely_falls(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Compare with gravity how fast free bodies fall, over five steps or more of the same downward acceleration."""
    down = np.asarray(model.opt.gravity)
    gravity = float(np.linalg.norm(down))
    if not recording.qvel.size or gravity == 0:
        return
    for joint in joints(model):
        if joint.kind != "free":
            continue
        along = recording.qvel[:, :, joint.qvel[:3]] @ (down / gravity)
        acceleration = np.diff(along, axis=1) / recording.control_period
        windows = np.lib.stride_tricks.sliding_window_view(acceleration, min(5, acceleration.shape[1]), axis=1)
        middle = np.median(windows, axis=2)
        with np.errstate(invalid="ignore"):
            steady = (middle > 0) & (np.ptp(windows, axis=2) < 0.1 * middle)
        if steady.sum() < 10:
            continue
        fall = float(np.median(middle[steady]))
        if not 1 / _RATIO < fall / gravity < _RATIO:
            off = fall / gravity
            yield (
                f"joint '{joint.name}': it falls with {fall:.4g} m/s^2, gravity is {gravity:.4g}; "
                f"the unit of length looks off by {off:.3g}, or that of time by {math.sqrt(off):.3g}"
            )


def _unlikely_accelerometers(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Compare accelerometers with gravity, which they read on average wherever a robot stays on the ground."""
    import mujoco

    gravity = float(np.linalg.norm(model.opt.gravity))
    for sensor, name in enumerate(names(model, "SENSOR")):
        channels = [f"sensordata[{name}] {i}" for i in range(3)]
        if int(model.sensor_type[sensor]) != mujoco.mjtSensor.mjSENS_ACCELEROMETER or not gravity:
            continue
        if not set(channels) <= set(recording.sensors):
            continue
        columns = [recording.sensors.index(channel) for channel in channels]
        length = float(np.nanmedian(np.linalg.norm(recording.observations[:, :, columns], axis=2)))
        for value, text in {1 / 9.81: "g", 1000 / 9.81: "mg", 100.0: "cm/s^2", 1000.0: "mm/s^2"}.items():
            if 0.8 < length / gravity / value < 1.25:
                yield f"sensor '{name}': the median is {length:.4g}, gravity {gravity:.4g} m/s^2; it looks like {text}"


def _unlikely_commands(recording: Trajectories, model: mujoco.MjModel) -> Iterator[str]:
    """Find actions far outside the range that the model cuts them to."""
    if not recording.actions.size:
        return
    for actuator, name in enumerate(recording.actuators):
        if not model.actuator_ctrllimited[actuator]:
            continue
        low, high = (float(end) for end in model.actuator_ctrlrange[actuator])
        values = recording.actions[:, :, actuator]
        largest = float(np.nanmax(np.abs(values)))
        if largest > _RATIO * max(abs(low), abs(high)):
            yield f"actuator '{name}': actions reach {largest:.4g}, the model cuts them to {low:.3g}..{high:.3g}"


def _unlikely_period(recording: Trajectories, world: MappedWorld, model: mujoco.MjModel) -> list[str]:
    """Compare the control period with that of the world."""
    own = world.substeps * float(model.opt.timestep)
    for power in (3, 6, 9):
        for ratio in (10.0**power, 10.0**-power):
            if 1 / _RATIO < recording.control_period / own / ratio < _RATIO:
                return [
                    f"rows are {recording.control_period:.4g} s apart, control steps of world '{world.name}' {own:g} "
                    f"s; the unit of time looks off by 10^{power}"
                ]
    return []
