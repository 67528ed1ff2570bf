"""Policies that other libraries evaluate: ONNX graphs (extra ``onnx``) and models of Stable-Baselines3 (extra ``rl``).

Both evaluate many rows in blocks of one size, so that no answer depends on how many episodes run together.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import PolicyError, listed, one_line, with_kind
from sim2real_cat.policies.policy import Policy

_FLOATS: dict[str, np.dtype[Any]] = {"tensor(float)": np.dtype(np.float32), "tensor(double)": np.dtype(np.float64)}
_STATE_NAMES = (("{}", "{}_out"), ("{}", "next_{}"), ("{}", "{}_next"), ("{}", "new_{}"), ("{}_in", "{}_out"))
"""Patterns for the names of the input and the output of one state."""

_EXTERNAL = b"\x0a\x08location\x12"
"""Bytes of the protobuf field that names the file in which a tensor's numbers lie."""

_ACTIONS = ("action", "actions")

_SB3_FILES = ("data", "policy.pth")
"""Files that Stable-Baselines3 writes into the zip of every algorithm."""

_ROWS = 16
"""Rows of a block: a multiple of every vector width in use, so that no row falls into a scalar remainder."""


@dataclass(frozen=True)
class _Port:
    """An input or output of a graph: a size in `shape` is None where it is open, `dtype` where it holds no floats."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class _GraphState:
    """A state of a recurrent graph: its input, the name of its output, the axis of the episodes."""

    input: _Port
    output: str
    axis: int

    def initial(self) -> NDArray[Any]:
        """Return the state in which an episode starts, zeros, without the axis of the episodes."""
        shape = [size or 1 for axis, size in enumerate(self.input.shape) if axis != self.axis]
        return np.zeros(shape, dtype=self.input.dtype)


class OnnxPolicy(Policy):
    """A policy ``action = graph(observation)``, or with state ``action, state' = graph(observation, state)``.

    The graph has one input of observations (batch, d) and one output of actions (batch, nu); the output is found as
    the only one, or the one called ``action`` or ``actions``. Any further input is a state that starts at zero, and
    its output is called after it: ``h`` and ``h_out``, ``next_h``, ``h_next`` or ``new_h``, or ``h_in`` and
    ``h_out``. Numbers go in in the graph's own precision. One thread, and blocks of one size: same observations,
    same bytes, however many episodes run together.

    Attributes:
        content: the bytes of the file; the digest is their SHA-256.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._session = _session(content)
        inputs = [_port(port) for port in self._session.get_inputs()]
        outputs = [_port(port) for port in self._session.get_outputs()]
        paired = {port.name: _partner(port.name, [o.name for o in outputs]) for port in inputs}
        self._observation = _only([p for p in inputs if paired[p.name] is None], "input of observations", inputs)
        states = {name: partner for name, partner in paired.items() if partner is not None}
        left = [port for port in outputs if port.name not in states.values()]
        self._action = _only([p for p in left if p.name in _ACTIONS] or left, "output of actions", outputs)
        for port in (self._observation, self._action):
            if len(port.shape) != 2:
                raise PolicyError(f"'{port.name}' needs shape (batch, channels), the graph has {_shown(port.shape)}")
        batch = self._observation.shape[0]
        self._states = tuple(_state(port, states[port.name], batch) for port in inputs if port.name in states)
        self._rows = _ROWS if batch is None else batch

    def __repr__(self) -> str:
        reads, answers = ("any number of" if width is None else width for width in self.widths)
        states = f", {len(self._states)} states" if self._states else ""
        return f"OnnxPolicy({reads} observations, {answers} actions{states}, digest {self.digest[:12]})"

    @staticmethod
    def load(path: str | Path) -> OnnxPolicy:
        """Read a graph from an ``.onnx`` file that holds its weights.

        Raises:
            PolicyError: the file is missing or no ONNX graph, its inputs and outputs are not those of a policy, or
                onnxruntime is not installed.
        """
        try:
            return OnnxPolicy(Path(path).read_bytes())
        except FileNotFoundError:
            raise PolicyError(f"{path}: no such policy file") from None
        except (PolicyError, OSError) as error:
            raise PolicyError(f"{path}: {error}") from None

    @property
    def widths(self) -> tuple[int | None, int | None]:
        return self._observation.shape[1], self._action.shape[1]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def start(self, n: int) -> Policy:
        if not self._states:
            return self
        return _OnnxInRollout(self, [np.repeat(state.initial()[None], n, axis=0) for state in self._states])

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        if self._states:
            raise PolicyError("a graph with state acts in a rollout: call start(number of episodes) and use its answer")
        return self.evaluate(observations, [])[0]

    def evaluate(self, observations: Floats, states: Sequence[NDArray[Any]]) -> tuple[Floats, list[NDArray[Any]]]:
        """Return actions (n, nu) and next states for observations (n, d) and states with a row for every episode.

        Raises:
            PolicyError: the observations do not fit the graph, or it fails.
        """
        width = self._observation.shape[1]
        if width is not None and observations.shape[1] != width:
            raise PolicyError(f"the graph reads {width} observations, it was given {observations.shape[1]}")
        arrays: list[NDArray[Any]] = [observations.astype(self._observation.dtype), *states]
        actions, *after = _in_blocks(self._block, arrays, self._rows)
        return np.asarray(actions, dtype=np.float64), after

    def _block(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Evaluate the graph on one block of rows."""
        feed: dict[str, NDArray[Any]] = {self._observation.name: arrays[0]}
        for state, rows in zip(self._states, arrays[1:], strict=True):
            feed[state.input.name] = np.ascontiguousarray(np.moveaxis(rows, 0, state.axis))
        names = [self._action.name, *(state.output for state in self._states)]
        try:
            actions, *after = self._session.run(names, feed)
        except Exception as error:  # onnxruntime's errors have no common base but Exception
            raise PolicyError(f"onnxruntime failed to evaluate the graph ({one_line(error)})") from None
        if len(actions) != len(arrays[0]):
            raise PolicyError(f"the graph answered {actions.shape} for {len(arrays[0])} observations")
        moved = [np.moveaxis(rows, state.axis, 0) for state, rows in zip(self._states, after, strict=True)]
        return [actions, *moved]


class _OnnxInRollout(Policy):
    """A graph with state in one rollout: `memory` has a row for every episode."""

    def __init__(self, policy: OnnxPolicy, memory: list[NDArray[Any]]) -> None:
        self.policy, self.memory = policy, memory

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        actions, after = self.policy.evaluate(observations, [memory[episodes] for memory in self.memory])
        for memory, rows in zip(self.memory, after, strict=True):
            memory[episodes] = rows
        return actions

    @property
    def widths(self) -> tuple[int | None, int | None]:
        return self.policy.widths

    @property
    def digest(self) -> str:
        return self.policy.digest


def _session(content: bytes) -> Any:
    """Start a session of onnxruntime on one thread."""
    try:
        import onnxruntime
    except ImportError:
        raise PolicyError("ONNX policies need onnxruntime: pip install 'sim2real-cat[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # errors are raised and need not be printed too
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base but Exception
        reason = one_line(error)
        if _EXTERNAL in content:
            raise PolicyError(
                f"the weights lie in another file, which the digest would not cover; save the graph as one file, as "
                f"torch.onnx.export(..., external_data=False) does ({reason})"
            ) from None
        raise PolicyError(f"not an ONNX graph that onnxruntime can read ({reason})") from None


def _port(port: Any) -> _Port:
    """Describe an input or output of a session."""
    shape = tuple(size if isinstance(size, int) else None for size in port.shape)
    return _Port(port.name, _FLOATS.get(port.type), shape)


def _partner(name: str, outputs: Sequence[str]) -> str | None:
    """Return the output with the next value of a state, by the name of its input; None for other inputs."""
    for before, after in _STATE_NAMES:
        head, tail = before.split("{}")
        stem = name[len(head) : len(name) - len(tail)]
        if name == before.format(stem) and after.format(stem) in outputs and after.format(stem) != name:
            return after.format(stem)
    return None


def _only(ports: Sequence[_Port], what: str, among: Sequence[_Port]) -> _Port:
    """Return the only port, which has to hold floating point numbers."""
    if len(ports) != 1:
        names = listed(f"'{port.name}' {_shown(port.shape)}" for port in among)
        raise PolicyError(f"a policy needs one {what}, the graph has {names}")
    if ports[0].dtype is None:
        raise PolicyError(f"'{ports[0].name}' needs to hold floats or doubles")
    return ports[0]


def _state(port: _Port, output: str, batch: int | None) -> _GraphState:
    """Describe a state; its axis of episodes is open, or as long as that of the observations."""
    if port.dtype is None:
        raise PolicyError(f"the state '{port.name}' needs to hold floats or doubles")
    axes = [axis for axis, size in enumerate(port.shape) if size == batch]
    if not axes or port.shape.count(None) > 1 or (len(axes) > 1 and batch != 1):  # of axes of length 1, any will do
        raise PolicyError(
            f"the state '{port.name}' {_shown(port.shape)} needs one axis for the episodes, as open or as long as the "
            f"first one of the observations"
        )
    return _GraphState(port, output, axes[0])


def _shown(shape: Sequence[int | None]) -> str:
    """Return a shape as text, with `batch` for an open size."""
    return "(" + ", ".join("batch" if size is None else str(size) for size in shape) + ")"


class Sb3Policy(Policy):
    """A policy that takes the deterministic actions of a Stable-Baselines3 model of any algorithm, on the CPU.

    It evaluates blocks of one size, so that the answers do not depend on how many episodes run together. Actions are
    clipped to the action space that the model was trained in.

    Attributes:
        model: a ``stable_baselines3.common.policies.BasePolicy`` with continuous actions.
        normalisation: the ``VecNormalize`` whose statistics of observations the model was trained with, or None.
    """

    def __init__(self, model: Any, normalisation: Any, digest: str) -> None:
        spaces = (model.observation_space, model.action_space)
        if any(type(space).__name__ != "Box" or len(space.shape) != 1 for space in spaces):
            raise PolicyError(f"a policy maps a vector to a vector, this model maps {spaces[0]} to {spaces[1]}")
        if normalisation is not None and normalisation.observation_space.shape != spaces[0].shape:
            seen = normalisation.observation_space.shape
            raise PolicyError(
                f"the statistics of VecNormalize are of observations {seen}, this model reads {spaces[0].shape}; "
                "give the file that VecNormalize.save wrote beside it"
            )
        self.model, self.normalisation, self._digest = model, normalisation, digest
        self._widths: tuple[int, int] = (spaces[0].shape[0], spaces[1].shape[0])

    @staticmethod
    def load(path: str | Path, *, allow_pickle: bool = False, vecnormalize: str | Path | None = None) -> Sb3Policy:
        """Read a zip that ``model.save`` wrote.

        Args:
            path: the zip.
            allow_pickle: whether you trust the files: they hold pickles, which can run any code when opened.
            vecnormalize: the file that ``VecNormalize.save`` wrote beside the model, if it was trained with one.

        Raises:
            PolicyError: a file is missing, truncated or something else, pickles are not allowed, the model does not
                map a vector to a vector, the statistics are of other observations, or stable-baselines3 is not
                installed.
        """
        content = _zip_bytes(Path(path))
        if not allow_pickle:
            raise PolicyError(
                f"{path}: a zip of Stable-Baselines3 holds pickles, which can run any code when they are opened; "
                f"if you trust it, say allow_pickle=True"
            )
        model = _sb3_model(Path(path))
        digest, normalisation = hashlib.sha256(content), None
        if vecnormalize is not None:
            normalisation = _normalisation(Path(vecnormalize))
            digest.update(Path(vecnormalize).read_bytes())
        try:
            return Sb3Policy(model, normalisation, digest.hexdigest())
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from None

    @property
    def widths(self) -> tuple[int, int]:
        return self._widths

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes of the zip, followed by those of the statistics where there are some."""
        return self._digest

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        if observations.shape[1] != self._widths[0]:
            raise PolicyError(f"the policy reads {self._widths[0]} observations, it was given {observations.shape[1]}")
        return np.asarray(_in_blocks(self._block, [observations], _ROWS)[0], dtype=np.float64)

    def _block(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        rows = arrays[0] if self.normalisation is None else self.normalisation.normalize_obs(arrays[0])
        return [self.model.predict(rows, deterministic=True)[0]]


def _zip_bytes(path: Path) -> bytes:
    """Return the bytes of a zip of Stable-Baselines3, checked to be whole; nothing in it is opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            names, broken = archive.namelist(), archive.testzip()
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such policy file") from None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise PolicyError(f"{path}: not a whole zip file ({error}); copy it again") from None
    if broken is not None:
        raise PolicyError(f"{path}: '{broken}' in this zip is damaged; copy it again")
    missing = [name for name in _SB3_FILES if name not in names]
    if missing:
        raise PolicyError(f"{path}: no policy of Stable-Baselines3 is in this zip, it has no '{missing[0]}'")
    return path.read_bytes()


def _sb3_model(path: Path) -> Any:
    """Return the policy network in a zip, without the algorithm that trained it."""
    try:
        from stable_baselines3.common.save_util import load_from_zip_file
    except ImportError:
        raise PolicyError(f"{path}: needs stable-baselines3: pip install 'sim2real-cat[rl]'") from None
    try:
        data, parameters, _ = load_from_zip_file(path, device="cpu")
        settings = data["policy_kwargs"] | ({"use_sde": data["use_sde"]} if data.get("use_sde") else {})
        model = data["policy_class"](data["observation_space"], data["action_space"], lambda _: 0.0, **settings)
        model.load_state_dict(parameters["policy"])
    except Exception as error:  # a pickle can raise anything
        raise PolicyError(f"{path}: Stable-Baselines3 cannot read its policy ({with_kind(error)})") from None
    if getattr(model, "lstm_actor", None) is not None:
        raise PolicyError(
            f"{path}: a recurrent policy of sb3-contrib; export it to ONNX with its state as input and output"
        )
    model.set_training_mode(False)
    return model


def _normalisation(path: Path) -> Any:
    """Return the statistics that VecNormalize saved."""
    from stable_baselines3.common.vec_env import VecNormalize

    if not path.is_file():
        raise PolicyError(f"{path}: no such file of VecNormalize")
    try:
        loaded = pickle.loads(path.read_bytes())
    except Exception as error:  # a pickle can raise anything
        raise PolicyError(f"{path}: not a whole file of VecNormalize ({with_kind(error)})") from None
    if not isinstance(loaded, VecNormalize):
        raise PolicyError(f"{path}: holds {type(loaded).__name__}, not VecNormalize")
    return loaded


def _in_blocks(
    function: Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]], arrays: Sequence[NDArray[Any]], size: int
) -> list[NDArray[Any]]:
    """Evaluate a function of arrays of n rows, `size` rows at a time.

    A matrix product rounds a row differently when it is one of many, so that the actions of an episode would depend
    on how many run beside it. In blocks of one size every call does the same arithmetic.

    Args:
        function: from arrays of `size` rows to arrays of `size` rows.
        arrays: arrays of n rows.
        size: rows of a block; the last block is filled up with its first row.
    """
    n = len(arrays[0])
    answers = []
    for first in range(0, n, size):
        rows = np.arange(first, first + size)
        rows[rows >= n] = first
        answers.append(function([array[rows] for array in arrays]))
    return [np.concatenate(parts)[:n] for parts in zip(*answers, strict=True)]
