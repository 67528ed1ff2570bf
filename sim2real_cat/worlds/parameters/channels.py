"""Parameters of the way between a policy and its robot: sensors, commands, and the control loop.

They are not fields of the MuJoCo model, but are named, drawn and written like those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.errors import WorldError, unknown_name
from sim2real_cat.model_names import matches
from sim2real_cat.worlds.parameters.fields import split
from sim2real_cat.worlds.randomization.change import Change, Mode
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.world import World

SENSOR_FIELDS = (
    "observation_noise",
    "observation_bias",
    "observation_delay",
    "observation_gain",
    "observation_stuck",
)
"""Parameters of single sensors, as in ``"observation_bias[pole angle]"``."""

RANDOM_ACTION_FIELDS = ("action_delay_spread", "action_jitter", "action_drop")
"""Chances on the way from the policy to the actuators; an action is one packet, so they have no elements."""

COMMAND_FIELDS = ("action_gain", "action_limit", "action_dead_zone", "action_backlash", "action_rate")
"""Parameters of the drives of single actuators, as in ``"action_gain[hip]"``."""

SWAP_FIELDS = ("observation_swap", "action_swap")
"""Flags of two channels that are exchanged, as in ``"action_swap[left, right]"``."""

PERIOD_FIELD = "control_period"
"""Seconds from one action to the next."""

CHANNEL_FIELDS = frozenset((*SENSOR_FIELDS, *RANDOM_ACTION_FIELDS, *COMMAND_FIELDS, *SWAP_FIELDS, PERIOD_FIELD))
"""All parameters that are defined here."""

_FLAGS = ("observation_stuck", *SWAP_FIELDS)
_UNLIMITED = ("action_limit", "action_rate")
_MOST_SUBSTEPS = 100_000


class SensorParameters(NamedTuple):
    """Parameters of the sensors in n simulations, (n, d) each.

    Attributes:
        deviations: standard deviation of the (first) Gaussian noise, in the sensor's unit.
        biases: offsets that are added to the truth, in the sensor's unit.
        delays: times by which the task's observations arrive late [s].
        gains: factors of the truth.
        stuck: whether a sensor repeats its first reading of the episode for ever.
        sources: the sensor whose reading arrives in each channel, by column.
    """

    deviations: Floats
    biases: Floats
    delays: Floats
    gains: Floats
    stuck: Bools
    sources: Ints


class ActionParameters(NamedTuple):
    """Random delays and losses on the way to the actuators in n simulations, (n,) each.

    Attributes:
        spread: largest further delay of all actions of an episode, drawn once per episode, uniform from 0 [s].
        jitter: largest further delay of the action of one control step, drawn per step, uniform from 0 [s].
        drop: probability that an action is lost, so that the last one holds.
    """

    spread: Floats
    jitter: Floats
    drop: Floats


class CommandParameters(NamedTuple):
    """Parameters of the drives in n simulations, (n, nu) each, in the units of the actuators' controls.

    Attributes:
        gains: factors of the command.
        limits: the largest size of a command; infinite where there is no limit.
        dead_zones: the size up to which a command does nothing.
        backlashes: the width of the play.
        rates: the largest change per second; infinite where there is no limit.
        sources: the actuator whose command arrives at each, by column.
    """

    gains: Floats
    limits: Floats
    dead_zones: Floats
    backlashes: Floats
    rates: Floats
    sources: Ints

    def rows(self, rows: NDArray[np.intp]) -> CommandParameters:
        """Return the parameters of some simulations."""
        gains, limits, zones, plays, rates, sources = self
        return CommandParameters(gains[rows], limits[rows], zones[rows], plays[rows], rates[rows], sources[rows])


def sensor_parameters(world: World, fibre: Ensemble, member_index: NDArray[np.int64]) -> SensorParameters:
    """Return the parameters of the sensors in every simulation.

    Raises:
        WorldError: a sensor that the world does not have, a negative deviation or delay, a gain that is not finite, or
            a flag other than 0 and 1.
    """
    shape = (len(member_index), len(world.sensors))
    values = {field: np.zeros(shape) for field in SENSOR_FIELDS}
    values["observation_noise"] = np.tile(world.deviations(), (shape[0], 1))
    values["observation_gain"] = np.ones(shape)
    sources = np.tile(np.arange(shape[1]), (shape[0], 1))
    for parameter, mode, drawn in drawn_numbers(fibre, member_index):
        field, parts = split(parameter)
        if field in SENSOR_FIELDS:
            _change(values[field], chosen("sensor", world.sensors, parameter, parts), mode, drawn, parameter)
        elif field == "observation_swap":
            _swap(sources, pair("sensor", world.sensors, parameter, parts), mode, drawn, parameter)
    for kind, field in (("noise", "observation_noise"), ("delay", "observation_delay")):
        if (values[field] < 0).any():
            name = world.sensors[int(np.argwhere(values[field] < 0)[0, 1])]
            raise WorldError(f"the {kind} of sensor '{name}' would be {values[field].min():g}; it cannot be negative")
    _require(np.isfinite, "observation_gain", values, world.sensors, "a gain needs to be finite")
    _require(_is_flag, "observation_stuck", values, world.sensors, _FLAG)
    deviations, biases, delays, gains, stuck = (values[field] for field in SENSOR_FIELDS)
    return SensorParameters(deviations, biases, delays, gains, stuck == 1, sources)


def action_parameters(fibre: Ensemble, member_index: NDArray[np.int64]) -> ActionParameters:
    """Return the random delays and losses on the way to the actuators in every simulation.

    Raises:
        WorldError: a negative time, a probability above 1, or elements, though an action goes as a whole.
    """
    by_field = {field: np.zeros((len(member_index), 1)) for field in RANDOM_ACTION_FIELDS}
    for parameter, mode, drawn in drawn_numbers(fibre, member_index):
        field, parts = split(parameter)
        if field not in RANDOM_ACTION_FIELDS:
            continue
        if parts not in ([], [":"]):
            raise WorldError(f"'{parameter}': an action goes to all actuators at once; write '{field}'")
        by_field[field] = np.array(changed(by_field[field], mode, drawn, parameter))
    for field, values in by_field.items():
        if (values < 0).any():
            raise WorldError(f"'{field}' would be {values.min():g}; it cannot be negative")
    if (by_field["action_drop"] > 1).any():
        raise WorldError(f"'action_drop' would be {by_field['action_drop'].max():g}; a probability is at most 1")
    return ActionParameters(*(values[:, 0] for values in by_field.values()))


def command_parameters(actuators: Sequence[str], fibre: Ensemble, member_index: NDArray[np.int64]) -> CommandParameters:
    """Return the parameters of the drives of the named actuators in every simulation.

    Raises:
        WorldError: an actuator that is not named, a negative limit, dead zone, play or rate, a gain that is not finite,
            or a limit or rate that is scaled or shifted though it is infinite.
    """
    shape = (len(member_index), len(actuators))
    values = {field: np.zeros(shape) for field in COMMAND_FIELDS}
    values["action_gain"] = np.ones(shape)
    for field in _UNLIMITED:
        values[field] = np.full(shape, np.inf)
    sources = np.tile(np.arange(shape[1]), (shape[0], 1))
    for parameter, mode, drawn in drawn_numbers(fibre, member_index):
        field, parts = split(parameter)
        if field in COMMAND_FIELDS:
            columns = chosen("actuator", actuators, parameter, parts)
            if mode != "set" and np.isinf(values[field][:, columns]).any():
                raise WorldError(f"'{parameter}' is infinite without the change, so it cannot {mode}; set it")
            _change(values[field], columns, mode, drawn, parameter)
        elif field == "action_swap":
            _swap(sources, pair("actuator", actuators, parameter, parts), mode, drawn, parameter)
    _require(np.isfinite, "action_gain", values, actuators, "a gain needs to be finite")
    for field in COMMAND_FIELDS[1:]:
        _require(_not_negative, field, values, actuators, "it cannot be negative")
    gains, limits, zones, plays, rates = (values[field] for field in COMMAND_FIELDS)
    return CommandParameters(gains, limits, zones, plays, rates, sources)


def control_substeps(
    world: World, model: mujoco.MjModel, fibre: Ensemble, member_index: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the physics steps of a control step in every simulation, (n,).

    The timestep stays as it is, since another one integrates another motion; so a period is a multiple of it.

    Raises:
        WorldError: a period that the model's timestep does not divide, that is not positive, or of more than 100,000
            timesteps.
    """
    timestep = float(model.opt.timestep)
    period = np.full((len(member_index), 1), world.substeps * timestep)
    for parameter, mode, drawn in drawn_numbers(fibre, member_index):
        field, parts = split(parameter)
        if field != PERIOD_FIELD:
            continue
        if parts:
            raise WorldError(f"'{parameter}': a world has one control period; write '{PERIOD_FIELD}'")
        period = np.array(changed(period, mode, drawn, parameter))
    ratio = period[:, 0] / timestep
    if not (np.isfinite(ratio).all() and ratio.max(initial=1.0) <= _MOST_SUBSTEPS):
        raise WorldError(
            f"'{PERIOD_FIELD}' would be {period.max():g} s, more than {_MOST_SUBSTEPS} timesteps; it is in seconds"
        )
    substeps = np.rint(ratio)
    bad = (substeps < 1) | (np.abs(ratio - substeps) > 1e-9 * np.maximum(ratio, 1.0))
    if bad.any():
        wrong = float(ratio[np.argmax(bad)])
        near = sorted({max(int(np.floor(wrong)), 1), max(int(np.ceil(wrong)), 1)})
        raise WorldError(
            f"'{PERIOD_FIELD}' would be {wrong * timestep:g} s, no whole multiple of the model's timestep "
            f"{timestep:g} s; the nearest are " + " and ".join(f"{count * timestep:g} s" for count in near)
        )
    return substeps.astype(np.int64)


def member_periods(world: World, model: mujoco.MjModel, fibre: Ensemble, member_index: NDArray[np.int64]) -> Floats:
    """Return the seconds of a control step in every simulation, (n,).

    Raises:
        WorldError: as `control_substeps`.
    """
    substeps = control_substeps(world, model, fibre, member_index).astype(np.float64)
    return np.asarray(substeps * float(model.opt.timestep), dtype=np.float64)


def recorded_period(world: World, model: mujoco.MjModel, fibre: Ensemble) -> float:
    """Return the control period of a recording of the members: theirs, or the world's where they differ in it.

    Raises:
        WorldError: as `control_substeps`.
    """
    substeps = control_substeps(world, model, fibre, np.arange(len(fibre)))
    common = int(substeps[0]) if (substeps == substeps[0]).all() else world.substeps
    return common * float(model.opt.timestep)


def changes_period(fibre: Ensemble) -> bool:
    """Return whether an ensemble says anything about the control period."""
    # by its text, as the parameters of external environments have names of their own, which are not split
    return any(parameter.strip() == PERIOD_FIELD for parameter in fibre.parameters)


def with_period(fibre: Ensemble, reality: Ensemble | None) -> Ensemble:
    """Return the members, which say that their control period is the world's where reality's is said to be at fault.

    So a recording of that reality can be compared with them, step by step.
    """
    if reality is None or not changes_period(reality) or changes_period(fibre):
        return fibre
    values = np.concatenate([fibre.values, np.ones((len(fibre), 1))], axis=1)
    return Ensemble((*fibre.parameters, PERIOD_FIELD), (*fibre.modes, "scale"), values, fibre.weights, fibre.level)


def changes_commands(fibre: Ensemble) -> bool:
    """Return whether an ensemble says anything about what drives make of commands."""
    return any(split(parameter)[0] in (*COMMAND_FIELDS, "action_swap") for parameter in fibre.parameters)


def channel_columns(name: str, change: Change, sensors: Sequence[str], actuators: Sequence[str]) -> list[str]:
    """Return the parameters that a change of a channel stands for: itself, or one for each element.

    Raises:
        WorldError: elements that do not exist, or `each` where there are none; a flag or a control period that is drawn
            from a range.
    """
    field, parts = split(name)
    if change.distribution != "discrete" and change.low != change.high:
        if field in _FLAGS:
            raise WorldError(f"'{name}' is a flag: draw it with distribution = 'discrete' from [0, 1]")
        if field == PERIOD_FIELD:
            raise WorldError(f"'{name}' counts whole timesteps: draw it with distribution = 'discrete'")
    found: list[str] = []
    if field in SENSOR_FIELDS and change.each:
        found = [sensors[i] for i in chosen("sensor", sensors, name, parts)]
    elif field in COMMAND_FIELDS:
        found = [actuators[i] for i in chosen("actuator", actuators, name, parts)]
    elif field in SWAP_FIELDS:
        kind, known = ("sensor", sensors) if field == "observation_swap" else ("actuator", actuators)
        pair(kind, known, name, parts)
    if not change.each:
        return [name]
    if field in RANDOM_ACTION_FIELDS:
        raise WorldError(f"'{name}': an action is one packet, which has no elements; leave 'each' out")
    if not found:
        raise WorldError(f"'{name}' has no elements to draw for; leave 'each' out")
    return [f"{field}[{element}]" for element in found]


def drawn_numbers(fibre: Ensemble, member_index: NDArray[np.int64]) -> list[tuple[str, Mode, Floats]]:
    """Return each parameter with its mode and the number drawn for every simulation, (n, 1).

    Raises:
        WorldError: a simulation of a member that does not exist.
    """
    if member_index.max(initial=-1) >= len(fibre):
        raise WorldError(f"there is no member {member_index.max()}: the ensemble has {len(fibre)}, counted from 0")
    drawn = fibre.values[member_index]
    rows = zip(fibre.parameters, fibre.modes, strict=True)
    return [(parameter, mode, drawn[:, [i]]) for i, (parameter, mode) in enumerate(rows)]


def changed(values: Floats, mode: Mode, drawn: Floats, parameter: str) -> Floats:
    """Return the values after a change.

    Raises:
        WorldError: all of them are 0, which no scaling changes.
    """
    if mode == "scale":
        if values.size and not values.any():
            raise WorldError(f"'{parameter}' is 0 without the change, and scaling 0 changes nothing; set or shift it")
        return values * drawn
    return values + drawn if mode == "shift" else np.broadcast_to(drawn, values.shape)


def chosen(kind: str, known: Sequence[str], parameter: str, parts: Sequence[str]) -> list[int]:
    """Return the columns of the channels that the brackets of a parameter mean: a name, a pattern, an index or ``:``.

    Raises:
        WorldError: there are none.
    """
    pattern = ", ".join(parts)
    if pattern in ("", ":") and known:
        return list(range(len(known)))
    found = [column for column, name in enumerate(known) if matches(name, pattern)]
    if not found and pattern.isdigit() and int(pattern) < len(known):
        found = [int(pattern)]
    if not found:
        raise WorldError(f"'{parameter}': " + unknown_name(kind, pattern, known))
    return found


def pair(kind: str, known: Sequence[str], parameter: str, parts: Sequence[str]) -> tuple[int, int]:
    """Return the columns of the two channels in the brackets of a parameter; a name may itself have commas.

    Raises:
        WorldError: there are not two, or they are the same.
    """
    field = split(parameter)[0]
    cuts = [(", ".join(parts[:cut]), ", ".join(parts[cut:])) for cut in range(1, len(parts))]
    if not cuts:
        raise WorldError(f"'{parameter}' exchanges two {kind}s: write '{field}[one, other]'")
    whole = next((names for names in cuts if all(name in known for name in names)), cuts[0])
    columns = [chosen(kind, known, parameter, [name]) for name in whole]
    for name, found in zip(whole, columns, strict=True):
        if len(found) > 1:
            raise WorldError(f"'{parameter}': '{name}' means {len(found)} {kind}s; name one")
    if columns[0] == columns[1]:
        raise WorldError(f"'{parameter}' exchanges {kind} '{whole[0]}' with itself; name two")
    return columns[0][0], columns[1][0]


_FLAG = "a flag is 0 or 1; draw it with distribution = 'discrete'"


def _change(values: Floats, columns: list[int], mode: Mode, drawn: Floats, parameter: str) -> None:
    """Change some columns in place."""
    with np.errstate(over="ignore"):  # infinite numbers are refused by name
        values[:, columns] = changed(values[:, columns], mode, drawn, parameter)


def _swap(sources: Ints, columns: tuple[int, int], mode: Mode, drawn: Floats, parameter: str) -> None:
    """Exchange two columns in the simulations whose flag is 1, in place.

    Raises:
        WorldError: a flag other than 0 and 1.
    """
    flags = changed(np.zeros_like(drawn), mode, drawn, parameter)[:, 0]
    if not _is_flag(flags).all():
        raise WorldError(f"'{parameter}' would be {flags[~_is_flag(flags)][0]:g}; {_FLAG}")
    rows = np.flatnonzero(flags == 1)
    one, other = columns
    sources[rows, one], sources[rows, other] = sources[rows, other], sources[rows, one]


def _require(
    good: Callable[[Floats], Bools], field: str, values: dict[str, Floats], names: Sequence[str], rule: str
) -> None:
    """Refuse numbers of a field that are not good, and name the first."""
    bad = ~good(values[field])
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise WorldError(f"'{field}[{names[column]}]' would be {values[field][row, column]:g}; {rule}")


def _is_flag(values: Floats) -> Bools:
    return np.asarray((values == 0) | (values == 1))


def _not_negative(values: Floats) -> Bools:
    return np.asarray(values >= 0)
