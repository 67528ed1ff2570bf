"""Drives: what becomes of a command between its arrival and the actuator.

A command passes, in this order, the wiring, the gain, the dead zone, the play, the limit and the rate; so what comes
out stays within the limit and changes no faster than the rate, and nothing winds up beyond the limit. Before the first
command an episode has commanded 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.worlds.parameters.channels import CommandParameters
from sim2real_cat.worlds.tasks.task import SimulationIndex


class Drives:
    """The drives of n simulations.

    - Dead zone z: ``sign(u) max(|u| - z, 0)``, continuous at its ends. Source: G. Tao and P. V. Kokotović, "Adaptive
      Control of Systems with Actuator and Sensor Nonlinearities", 1996.
    - Backlash of width w: ``clip(before, u - w/2, u + w/2)``, the play operator, at rest in its middle. Source:
      A. Visintin, "Differential Models of Hysteresis", 1994.
    - Limit: ``clip(u, -limit, limit)``. Rate r: ``clip(u, before - r period, before + r period)``.

    Args:
        parameters: those of the drives in every simulation.
        periods: (n,) seconds from command to command.

    Attributes:
        nominal: whether every command acts as it was sent.
    """

    def __init__(self, parameters: CommandParameters, periods: Floats) -> None:
        gains, limits, zones, plays, rates, sources = parameters
        self._sources = sources if (sources != np.arange(sources.shape[1])).any() else None
        self._gains = gains if (gains != 1).any() else None
        self._zones = zones if zones.any() else None
        self._half_plays = plays / 2 if plays.any() else None
        self._limits = limits if np.isfinite(limits).any() else None
        self._most = rates * periods[:, None] if np.isfinite(rates).any() else None
        self._engaged, self._before = np.zeros(gains.shape), np.zeros(gains.shape)
        stages = (self._sources, self._gains, self._zones, self._half_plays, self._limits, self._most)
        self.nominal = all(stage is None for stage in stages)

    def start(self, rows: NDArray[np.intp]) -> None:
        """Begin an episode in some simulations."""
        self._engaged[rows] = self._before[rows] = 0.0

    def drive(self, commands: Floats, rows: SimulationIndex) -> Floats:
        """Return what the next commands (m, nu) of some simulations become."""
        if self._sources is not None:
            commands = np.take_along_axis(commands, self._sources[rows], axis=1)
        if self._gains is not None:
            commands = commands * self._gains[rows]
        if self._zones is not None:
            zones = self._zones[rows]
            reduced = np.sign(commands) * np.maximum(np.abs(commands) - zones, 0.0)
            commands = np.where(zones > 0, reduced, commands)
        if self._half_plays is not None:
            halves = self._half_plays[rows]
            commands = np.clip(self._engaged[rows], commands - halves, commands + halves)
            self._engaged[rows] = commands
        if self._limits is not None:
            limits = self._limits[rows]
            commands = np.clip(commands, -limits, limits)
        if self._most is not None:
            before, most = self._before[rows], self._most[rows]
            commands = np.clip(commands, before - most, before + most)
            self._before[rows] = commands
        return commands


def driven(parameters: CommandParameters, periods: Floats, actions: Floats) -> Floats:
    """Return what m drives make of whole episodes of recorded actions.

    Args:
        parameters: those of m drives.
        periods: (m,) seconds from command to command.
        actions: (episodes, T, nu) as recorded, NaN past the end of an episode.

    Returns:
        (m · episodes, T, nu), the episodes of the first drive first.
    """
    m, episodes = len(periods), len(actions)
    rows = np.repeat(np.arange(m), episodes)
    drives = Drives(parameters.rows(rows), periods[rows])
    found = np.empty((m * episodes, *actions.shape[1:]))
    for step in range(actions.shape[1]):
        found[:, step] = drives.drive(np.tile(actions[:, step], (m, 1)), slice(None))
    return found
