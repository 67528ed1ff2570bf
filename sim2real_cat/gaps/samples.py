"""Observations in episodes: both sides of a comparison, checked once and arranged as points of one level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import GapError, listed, unknown_name

Side: TypeAlias = Literal["real", "simulated"]
"""One of the two sides of a comparison, in the words of messages."""

Level: TypeAlias = Literal["occupancy", "transition", "trajectory"]
"""The level of a gap: of single observations, of an observation given the one before, or of whole episodes."""

Unit: TypeAlias = Literal["nats per observation", "nats per control step", "nats per episode"]
"""The unit in which a gap is measured."""

UNITS: dict[Level, Unit] = {
    "occupancy": "nats per observation",
    "transition": "nats per control step",
    "trajectory": "nats per episode",
}
"""The unit of each level."""

Scopes: TypeAlias = tuple[tuple[int, int], ...]
"""(width, sign) of every KL that a level adds up, each over the leading `width` columns of its points."""

# A column whose spread is below this share of its magnitude holds one value and rounding noise.
_CONSTANT = 1e-12
# Smallest eigenvalue of a correlation matrix that still leaves half the digits of a Mahalanobis distance.
_DEPENDENT = 1e-10


@runtime_checkable
class EpisodicSamples(Protocol):
    """Observations in episodes, as a rollout or a log has them."""

    @property
    def episodes(self) -> Sequence[Floats]:
        """One array (T_i, d) per episode: observations in time order."""

    @property
    def member_index(self) -> Ints:
        """(n_episodes,) the member of the simulated fibre that each episode comes from.

        Where there is a mask `kept` of the episodes that count, the index and the actions are those of all episodes.
        """

    @property
    def sensors(self) -> Sequence[str]:
        """The d sensor names."""

    @property
    def control_period(self) -> float:
        """Seconds from one observation to the next."""


Observations: TypeAlias = EpisodicSamples | Floats | Sequence[Floats]
"""The forms of one side: rows (n, d) or (n,) drawn independently, episodes (T_i, d), or an object that has both."""


@dataclass(frozen=True)
class Samples:
    """One side of a comparison, checked: finite, at least one row, one dimension.

    Attributes:
        side: The side it is, for messages.
        points: (n, d) observations, episode after episode.
        episode: (n,) the episode of each row, from 0.
        member_index: (n_episodes,) the fibre member of each episode.
        sensors: The d names; "0", "1", ... where none were given.
        control_period: Seconds, or None where unknown.
        named: Whether the sensor names were given.
        independent: Whether every row is an episode of its own.
        actions: (n, n_actions) what was done after each observation, NaN after the last one of an episode; None
            where it was not recorded.
    """

    side: Side
    points: Floats
    episode: Ints
    member_index: Ints
    sensors: tuple[str, ...]
    control_period: float | None
    named: bool
    independent: bool
    actions: Floats | None = None

    @property
    def lengths(self) -> Ints:
        """Count (n_episodes,) the observations of each episode."""
        return np.bincount(self.episode, minlength=len(self.member_index)).astype(np.intp)


@dataclass(frozen=True)
class Cloud:
    """The points of one side at one level, each with its episode and member.

    Attributes:
        side: The side it is, for messages.
        level: "occupancy" or "transition".
        points: (n, d) observations, or (n, 2 d) pairs (o, o') of successive observations.
        episode: (n,) the episode of each point.
        member_index: (n,) the fibre member of each point.
        sensors: The d names.
        n_episodes: How many episodes there are, with or without a point.
        actions: (n, n_actions) what was done between o and o'; None where that is not known on this side.
    """

    side: Side
    level: Level
    points: Floats
    episode: Ints
    member_index: Ints
    sensors: tuple[str, ...]
    n_episodes: int
    actions: Floats | None = None

    @property
    def scopes(self) -> Scopes:
        """Return the KLs that the level adds up.

        The chain rule: E_real KL(P_real(o'|o) || P_sim(o'|o)) = KL of the joint (o, o') - KL of o.
        """
        d = len(self.sensors)
        return ((d, 1),) if self.level == "occupancy" else ((2 * d, 1), (d, -1))

    @property
    def columns(self) -> tuple[str, ...]:
        """Return a name for every column of `points`."""
        return self.sensors if self.level == "occupancy" else (*self.sensors, *(f"next {s}" for s in self.sensors))

    @property
    def rows(self) -> str:
        """Return the plural noun for the points, for messages."""
        return "observations" if self.level == "occupancy" else "transitions"


def clouds(
    real: Observations, sim: Observations, level: Level | None, weights: Mapping[int, float] | ArrayLike | None
) -> tuple[Cloud, Cloud, dict[int, float], tuple[str, ...]]:
    """Check both sides and arrange them as points of one level.

    Args:
        real: The real side.
        sim: The simulated side; members of weight 0 are left out.
        level: "occupancy" or "transition"; by default "transition" where both sides have successive observations.
        weights: Weight of each member, as for `fibre_weights`.

    Returns:
        Real points, simulated points, the weight of each member, and remarks for the reader.

    Raises:
        GapError: A side is not valid, the sides are not comparable, or a member has no point.
    """
    real_samples, sim_samples, member_weights = weighted_samples(real, sim, weights)
    chosen = _chosen_level(level, real_samples, sim_samples)
    real_samples, sim_samples, notes = _without_constants(real_samples, sim_samples)
    if chosen == "transition":
        notes += tuple(
            f"{int((s.lengths < 2).sum())} {s.side} episodes of a single step have no transition"
            for s in (real_samples, sim_samples)
            if (s.lengths < 2).any()
        )
    real_cloud, sim_cloud = arrange(real_samples, chosen), arrange(sim_samples, chosen)
    for member in member_weights:
        if not (sim_cloud.member_index == member).any():
            raise GapError(f"simulated member {member} has no {sim_cloud.rows}: add episodes or give it weight 0")
    return real_cloud, sim_cloud, member_weights, notes


def weighted_samples(
    real: Observations, sim: Observations, weights: Mapping[int, float] | ArrayLike | None
) -> tuple[Samples, Samples, dict[int, float]]:
    """Check both sides and the weights; simulated members of weight 0 are left out.

    Raises:
        GapError: A side or the weights are not valid, or the sides are not comparable.
    """
    real_samples, sim_samples = comparable_samples(real, sim)
    member_weights = fibre_weights(weights, sim_samples.member_index)
    return real_samples, _of_members(sim_samples, member_weights), member_weights


def comparable_samples(real: Observations, sim: Observations) -> tuple[Samples, Samples]:
    """Check both sides and give them the same sensors under the same names.

    Raises:
        GapError: A side is not valid, or the dimensions, sensor names or control periods differ; both are listed.
    """
    a, b = as_samples(real, "real"), as_samples(sim, "simulated")
    if a.named and b.named and a.sensors != b.sensors:
        only_real = [s for s in a.sensors if s not in b.sensors]
        only_sim = [s for s in b.sensors if s not in a.sensors]
        what = f"only real: {listed(only_real)}; only simulated: {listed(only_sim)}"
        if not only_real and not only_sim:
            what = f"their order: real {listed(a.sensors)}; simulated {listed(b.sensors)}"
        raise GapError(f"the sensors of the two sides differ in {what}")
    if a.points.shape[1] != b.points.shape[1]:
        raise GapError(
            f"the real side has {a.points.shape[1]} sensors and the simulated side {b.points.shape[1]}: "
            "give both the same sensors"
        )
    one, other = a.control_period, b.control_period
    if one is not None and other is not None and not np.isclose(one, other, rtol=1e-6, atol=0.0):
        raise GapError(f"the control periods differ: real {one} s, simulated {other} s; resample one side")
    names = a.sensors if a.named else b.sensors
    return replace(a, sensors=names), replace(b, sensors=names)


def as_samples(observations: Observations, side: Side) -> Samples:
    """Check one side and bring it into one form.

    Args:
        observations: An array (n, d) or (n,) of independent rows, a sequence of (T_i, d) arrays, or an
            object with the attributes of `EpisodicSamples`.
        side: The side it is, for messages.

    Returns:
        The samples.

    Raises:
        GapError: Nothing in it, an array of another shape, a value that is not finite (where and how many),
            or a member index or sensor names that do not match the arrays.
    """
    if isinstance(observations, np.ndarray) and observations.ndim in (1, 2):
        points = _numbers(observations, f"the {side} side")
        points = points[:, None] if points.ndim == 1 else points
        arrays, independent = [points], True
        member_index: Ints = np.zeros(len(points), dtype=np.intp)
        names: Sequence[str] | None = None
        period: float | None = None
    elif isinstance(observations, EpisodicSamples):
        arrays, independent = _episodes(observations.episodes, side), False
        member_index = np.asarray(observations.member_index, dtype=np.intp)
        kept = getattr(observations, "kept", None)
        member_index = member_index if kept is None else member_index[kept]
        names, period = observations.sensors, float(observations.control_period)
    elif isinstance(observations, np.ndarray | list | tuple):
        arrays, independent = _episodes(list(observations), side), False
        member_index, names, period = np.zeros(len(arrays), dtype=np.intp), None, None
    else:
        raise GapError(
            f"the {side} side is a {type(observations).__name__}: give an array (n, d), a list of (T, d) arrays, "
            "or an object with episodes, member_index, sensors and control_period"
        )
    points = np.concatenate(arrays) if arrays else np.empty((0, 0))
    if points.size == 0:
        raise GapError(f"the {side} side is empty: it has {len(arrays)} arrays and no observation")
    if len(points) == 1:
        raise GapError(f"the {side} side has a single observation: a distribution needs more")
    lengths = np.ones(len(points), dtype=np.intp) if independent else np.array([len(a) for a in arrays])
    episode = np.repeat(np.arange(len(lengths)), lengths)
    if member_index.shape != lengths.shape:
        raise GapError(f"the {side} side has {len(lengths)} episodes but a member_index of shape {member_index.shape}")
    sensors = tuple(str(name) for name in (range(points.shape[1]) if names is None else names))
    if len(sensors) != points.shape[1]:
        raise GapError(f"the {side} side has {points.shape[1]} columns but {len(sensors)} sensor names")
    _all_finite(points, episode, sensors, side, independent)
    actions = _recorded_actions(observations, lengths)
    return Samples(side, points, episode, member_index, sensors, period, names is not None, independent, actions)


def _episodes(arrays: Sequence[ArrayLike], side: Side) -> list[Floats]:
    """Return the episodes as float arrays (T_i, d) of one width."""
    episodes = [_numbers(array, f"episode {i} of the {side} side") for i, array in enumerate(arrays)]
    for i, episode in enumerate(episodes):
        if episode.ndim != 2:
            raise GapError(
                f"episode {i} of the {side} side has shape {episode.shape}, not (T, d): "
                "use reshape(-1, 1) for one sensor, or one array (n, d) for independent rows"
            )
        if episode.shape[1] != episodes[0].shape[1]:
            raise GapError(
                f"episode {i} of the {side} side has {episode.shape[1]} sensors, episode 0 has {episodes[0].shape[1]}"
            )
    return episodes


def _numbers(array: ArrayLike, what: str) -> Floats:
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise GapError(f"{what} is not an array of numbers") from None


def _all_finite(points: Floats, episode: Ints, sensors: Sequence[str], side: Side, independent: bool) -> None:
    bad = ~np.isfinite(points)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    within = row - int(np.searchsorted(episode, episode[row]))
    where = f"row {row}" if independent else f"episode {int(episode[row])}, row {within}"
    raise GapError(
        f"the {side} side has {int(bad.sum())} values that are NaN or infinite, the first in {where}, "
        f"sensor '{sensors[column]}': repair or drop them"
    )


def _recorded_actions(observations: object, lengths: Ints) -> Floats | None:
    """Return the actions of an object that has the attribute `actions`, one row for each observation.

    Args:
        observations: Its `actions` are one array (T_i - 1, n_actions) per episode, or longer and padded. Where it
            has a mask `kept` of the episodes that count, the actions are those of all.
        lengths: (n_episodes,) observations T_i of each episode that counts.

    Returns:
        (n, n_actions), NaN after the last observation of an episode; None where there are no actions, or not for
        every step.
    """
    given = getattr(observations, "actions", None)
    if given is None:
        return None
    kept = getattr(observations, "kept", None)
    if kept is not None:
        given = np.asarray(given)[kept]
    episodes = [np.asarray(actions, dtype=np.float64) for actions in given]
    widths = {actions.shape[1:] for actions in episodes}
    short = any(len(actions) < length - 1 for actions, length in zip(episodes, lengths, strict=False))
    if len(episodes) != len(lengths) or short or len(widths) != 1 or len(next(iter(widths))) != 1:
        return None
    rows = []
    for actions, length in zip(episodes, lengths.tolist(), strict=True):
        row = np.full((length, actions.shape[1]), np.nan)
        row[: length - 1] = actions[: length - 1]
        rows.append(row)
    return np.concatenate(rows)


def fibre_weights(weights: Mapping[int, float] | ArrayLike | None, member_index: Ints) -> dict[int, float]:
    """Return the weight of each member of the fibre, adding up to 1; members of weight 0 are left out.

    Args:
        weights: None for equal weights, a mapping from member to weight, or one weight per member in the
            order of the sorted members; any positive total.
        member_index: The members that have samples, in any order and with repeats.

    Raises:
        GapError: A weight for each member is missing or one too many, negative or not finite, or all are 0.
    """
    labels = [int(label) for label in np.unique(member_index)]
    if weights is None:
        return dict.fromkeys(labels, 1.0 / len(labels))
    if isinstance(weights, Mapping):
        if set(weights) != set(labels):
            raise GapError(f"weights are for members {sorted(weights)}, the simulated members are {labels}")
        given = np.array([weights[label] for label in labels], dtype=float)
    else:
        given = np.atleast_1d(np.asarray(weights, dtype=float))
    if given.shape != (len(labels),):
        raise GapError(f"{given.size} weights for {len(labels)} simulated members {labels}: give one for each")
    if not np.isfinite(given).all() or (given < 0).any() or given.sum() == 0:
        raise GapError(f"weights must be finite, not negative and not all 0: {given.tolist()}")
    return {label: float(w) for label, w in zip(labels, given / given.sum(), strict=True) if w > 0}


def _of_members(samples: Samples, weights: Mapping[int, float]) -> Samples:
    """Return the episodes of the members that have a weight."""
    kept = np.isin(samples.member_index, list(weights))
    rows = kept[samples.episode]
    renumbered = (np.cumsum(kept) - 1)[samples.episode[rows]]
    actions = None if samples.actions is None else samples.actions[rows]
    member_index = samples.member_index[kept]
    return replace(samples, points=samples.points[rows], episode=renumbered, member_index=member_index, actions=actions)


def _chosen_level(level: Level | None, real: Samples, sim: Samples) -> Level:
    """Return the level asked for; by default "transition" where both sides have successive observations.

    Raises:
        GapError: The level is not known, or "transition" is asked of rows without a time order.
    """
    lacking = [s.side for s in (real, sim) if s.independent or s.lengths.max() < 2]
    if level is None:
        return "occupancy" if lacking else "transition"
    if level not in UNITS:
        raise GapError(unknown_name("level", level, UNITS))
    if level == "trajectory":
        raise GapError("a single point has no share in the level 'trajectory': take 'transition', of which it is made")
    if level == "transition" and lacking:
        raise GapError(
            f"level 'transition' needs episodes of at least 2 steps, which the {listed(lacking)} side does not have: "
            "give a list of (T, d) arrays, or level='occupancy'"
        )
    return level


def _without_constants(real: Samples, sim: Samples) -> tuple[Samples, Samples, tuple[str, ...]]:
    """Leave out the sensors that hold one and the same value on both sides.

    Such a sensor says nothing about the gap, and has no density.

    Returns:
        The two sides, and a remark for the reader if anything was dropped.

    Raises:
        GapError: A sensor is constant on one side only or at two values (the divergence is infinite),
            or no sensor is left.
    """
    still_real, still_sim = _constant(real.points), _constant(sim.points)
    still = _constant(np.concatenate([real.points, sim.points]))
    infinite = (still_real | still_sim) & ~still
    if infinite.any():
        where = {
            (True, True): "both sides, at different values",
            (True, False): "real side only",
            (False, True): "simulated side only",
        }
        columns = zip(real.sensors, still_real.tolist(), still_sim.tolist(), infinite, strict=True)
        rows = [f"{name} ({where[a, b]})" for name, a, b, bad in columns if bad]
        raise GapError(
            f"constant sensors have no density to compare: {listed(rows)}; leave them out or model their noise"
        )
    if still.all():
        raise GapError(f"every sensor is constant on both sides: {listed(real.sensors)}; there is nothing to compare")
    if not still.any():
        return real, sim, ()
    kept = tuple(name for name, gone in zip(real.sensors, still, strict=True) if not gone)
    dropped = [name for name, gone in zip(real.sensors, still, strict=True) if gone]
    note = f"dropped as constant and equal on both sides: {listed(dropped)}"
    return (
        replace(real, points=real.points[:, ~still], sensors=kept),
        replace(sim, points=sim.points[:, ~still], sensors=kept),
        (note,),
    )


def _constant(points: Floats) -> Bools:
    """Tell (d,) which columns hold one value up to rounding."""
    low, high = points.min(axis=0), points.max(axis=0)
    still: Bools = high - low <= _CONSTANT * np.maximum(np.abs(low), np.abs(high))
    return still


def arrange(samples: Samples, level: Level) -> Cloud:
    """Return the points of one side at a level: observations, or pairs of successive observations of an episode.

    An episode with a single observation has no pair, so it has no point at the level "transition".
    """
    points, episode, actions = samples.points, samples.episode, None
    if level == "transition":
        inside = episode[1:] == episode[:-1]
        points = np.hstack([points[:-1], points[1:]])[inside]
        actions = None if samples.actions is None else samples.actions[:-1][inside]
        episode = episode[1:][inside]
    member_index, count = samples.member_index[episode], len(samples.member_index)
    return Cloud(samples.side, level, points, episode, member_index, samples.sensors, count, actions)


def subset(cloud: Cloud, rows: Bools | slice) -> Cloud:
    """Return some of the points, with all that belongs to them."""
    actions = None if cloud.actions is None else cloud.actions[rows]
    member_index, episode = cloud.member_index[rows], cloud.episode[rows]
    return replace(cloud, points=cloud.points[rows], episode=episode, member_index=member_index, actions=actions)


def require_density(points: Floats, columns: Sequence[str], what: str) -> None:
    """Check that the points can have a density: enough of them, and no column a linear function of the others.

    Args:
        points: (n, D).
        columns: D names, for the message.
        what: The owner of the points, e.g. "the transitions of simulated member 3".

    Raises:
        GapError: With the sensors that depend on each other, or the number of points needed, and the remedy.
    """
    n, width = points.shape
    if n <= width + 1:
        raise GapError(
            f"{what}: {n} points are too few for a covariance in {width} dimensions (more than {width + 1} needed): "
            "add episodes or compare fewer sensors"
        )
    still = _constant(points)
    if still.any():
        names = [name for name, bad in zip(columns, still, strict=True) if bad]
        raise GapError(f"{what}: constant sensors have no density: {listed(names)}; leave them out")
    eigenvalues, vectors = np.linalg.eigh(np.atleast_2d(np.corrcoef(points, rowvar=False)))
    if eigenvalues[0] < _DEPENDENT:
        names = [name for name, load in zip(columns, np.abs(vectors[:, 0]), strict=True) if load > 0.1]
        raise GapError(
            f"{what}: linearly dependent sensors have no joint density: {listed(names)}; "
            "leave one of them out or model their noise"
        )
