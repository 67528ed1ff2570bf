"""What the members of a fibre expect where only the first state is known: each follows the readings by a filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import GapError, WorldError, listed
from sim2real_cat.gaps.filtering import filtered
from sim2real_cat.transfer.expectation import Expectation, Expected
from sim2real_cat.worlds.hidden_states import HiddenStates
from sim2real_cat.worlds.trajectories import Trajectories

Array = NDArray[np.float64]

_AT_ONCE = 4096
"""Simulations in a batch."""


class HiddenExpectation(Expectation):
    """Asks a world that knows the first recorded state, with its error, and the readings so far.

    The arguments are those of `Expectation`.
    """

    filters = True

    def of(self, recording: Trajectories) -> Expected:
        """What every member expects.

        Raises:
            GapError: a sensor whose noise is not plainly Gaussian.
            WorldError: a sensor that is late, so that its reading is not one of the present state.
        """
        columns = [self.world.sensors.index(name) for name in recording.sensors]
        parameters = self.parameters()
        chains = self.chains(recording.sensors)
        odd = [name for name, *of in zip(recording.sensors, *chains, strict=True) if not all(c.plain for c in of)]
        if odd:
            raise GapError(f"hidden states are followed through Gaussian noise only, not that of: {listed(odd)}")
        late = [
            name for name, delay in zip(recording.sensors, parameters.delays[:, columns].T, strict=True) if delay.any()
        ]
        if late:
            raise WorldError(f"hidden states are followed through sensors in time, these are late: {listed(late)}")
        bias, noise = parameters.biases[:, columns], parameters.deviations[:, columns]
        lanes = np.indices((len(self.members), len(recording))).reshape(2, -1).T
        within = np.arange(recording.actions.shape[1]) < recording.lengths[:, None]
        read = np.where(within[..., None], recording.observations[:, 1:], np.nan)
        points = 2 * len(self.deviation)
        shape = (len(self.members), int(recording.lengths.sum()), len(columns))
        expected, spread = np.empty(shape), np.empty((*shape, len(columns)))
        ends = np.concatenate([[0], np.cumsum(recording.lengths)])
        for some in np.array_split(lanes, -(-len(lanes) * points // _AT_ONCE)):
            model = HiddenStates(self.world, self.members, recording, some, points, self.threads)
            member, episode = some.T
            found = filtered(
                model,
                model.first(),
                np.diag(np.square(self.deviation)),
                read[episode] - bias[member, None],
                noise[member],
            )
            for lane, (row, of) in enumerate(some):
                into = slice(ends[of], ends[of + 1])
                expected[row, into] = found.expected[lane, within[of]]
                spread[row, into] = found.covariance[lane, within[of]]
        white = np.square(noise)[:, None, :, None] * np.eye(len(columns))
        reading = expected + bias[:, None]
        return Expected(reading, reading[:, ends[:-1]], spread - white, chains)
