"""Python functions as policies: without memory, or with a carry from one control step to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.policy import Policy, as_numbers

Carry: TypeAlias = "NDArray[Any] | tuple[Carry, ...] | dict[str, Carry]"
"""An array, or tuples and dictionaries of arrays."""

Recurrence: TypeAlias = "Callable[[Floats, Any], tuple[ArrayLike, Any]]"
"""``(observations, carry) -> (actions, carry)``; every array of the carry has a row for every observation."""


@dataclass(frozen=True, eq=False)
class CallablePolicy(Policy):
    """A policy ``action = function(observation)``, for many episodes in one call.

    The digest of a function cannot be computed. It is the SHA-256 of `content`, bytes that decide how the function acts
    (such as the file of its weights), or else of `name`. A digest made from a name says only that two policies have
    one name; change the name whenever the function changes.

    Attributes:
        function: from observations (n, d) to actions (n, nu). The actions of an episode depend on how many run together
            unless every row is treated alike, which a matrix product does not do (it rounds differently).
        name: name of the policy.
        content: bytes that decide how the function acts.
    """

    function: Callable[[Floats], ArrayLike]
    name: str = ""
    content: bytes | None = None

    def __post_init__(self) -> None:
        _check_callable(self.function)
        _stated_digest(self.name, self.content)

    @classmethod
    def one_by_one(
        cls, function: Callable[[Floats], ArrayLike], name: str = "", content: bytes | None = None
    ) -> CallablePolicy:
        """Make a policy from a function of one observation, (d,) -> (nu,), called once for every episode."""
        _check_callable(function)

        def batched(observations: Floats) -> Floats:
            return as_numbers([_answered(function(row), name) for row in observations], _answer_of(name))

        return cls(batched, name, content)

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        # a copy: the rows belong to the record of the rollout, and a function may write into its argument
        return _answered(self.function(observations.copy()), self.name)

    @property
    def digest(self) -> str:
        return _stated_digest(self.name, self.content)


@dataclass(frozen=True, eq=False)
class RecurrentPolicy(Policy):
    """A policy ``action, carry = function(observation, carry)``, with a carry of its own in every episode.

    `start` gives every episode the initial carry. Only the carries of the episodes that act are read and written.

    Attributes:
        function: from observations (n, d) and carry to actions (n, nu) and the next carry; the arrays of a carry are
            those of `initial` with an axis of n rows in front, of the same types.
        initial: the carry of one episode before its first step: an array, or tuples and dictionaries of arrays.
        name: name of the policy.
        content: bytes that decide how the function acts; the digest is made from them, or else from the name alone
            (see `CallablePolicy`).
    """

    function: Recurrence
    initial: Carry
    name: str = ""
    content: bytes | None = None

    def __post_init__(self) -> None:
        _check_callable(self.function)
        _stated_digest(self.name, self.content)
        if any(leaf.dtype.kind not in "biuf" for leaf in _leaves(self.initial)):
            raise PolicyError("the initial carry of a recurrent policy must be arrays of numbers")

    def start(self, n: int) -> Policy:
        return _RecurrentInRollout(self, [np.repeat(leaf[None], n, axis=0) for leaf in _leaves(self.initial)])

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        raise PolicyError("a recurrent policy acts in a rollout: call start(number of episodes) and use what it gives")

    @property
    def digest(self) -> str:
        return _stated_digest(self.name, self.content)


class _RecurrentInRollout(Policy):
    """A recurrent policy in one rollout: `memory` has a row for every episode."""

    def __init__(self, policy: RecurrentPolicy, memory: list[NDArray[Any]]) -> None:
        self.policy, self.memory = policy, memory

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        before = [leaf[episodes] for leaf in self.memory]
        carry = _rebuilt(self.policy.initial, iter(before))
        answer: object = self.policy.function(observations.copy(), carry)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            shown = f"tuple of {len(answer)}" if isinstance(answer, tuple) else type(answer).__name__
            raise PolicyError(
                f"control step {step}: the function of a recurrent policy has to answer a tuple (actions, carry), it "
                f"answered {shown}"
            )
        actions, carry = _answered(answer[0], self.policy.name), answer[1]
        after = _leaves(carry)
        if not _alike(before, after) or _structure(carry) != _structure(self.policy.initial):
            raise PolicyError(
                f"control step {step}: a recurrent policy has to keep the form of its carry, {_form(before)}, but "
                f"its function answered {_form(after)}"
            )
        for memory, leaf in zip(self.memory, after, strict=True):
            memory[episodes] = leaf
        return actions

    @property
    def digest(self) -> str:
        return self.policy.digest


def _leaves(carry: Carry) -> list[NDArray[Any]]:
    """Return the arrays of a carry, in order."""
    if isinstance(carry, tuple):
        return [leaf for part in carry for leaf in _leaves(part)]
    if isinstance(carry, dict):
        return [leaf for name in sorted(carry) for leaf in _leaves(carry[name])]
    return [np.asarray(carry)]


def _structure(carry: Carry) -> object:
    """Return the tuples and dictionaries of a carry with None in place of its arrays."""
    if isinstance(carry, tuple):
        return tuple(_structure(part) for part in carry)
    if isinstance(carry, dict):
        return {name: _structure(part) for name, part in carry.items()}
    return None


def _rebuilt(like: Carry, leaves: Iterator[NDArray[Any]]) -> Carry:
    """Build a carry of the structure of `like` from an iterator over its arrays."""
    if isinstance(like, tuple):
        return tuple(_rebuilt(part, leaves) for part in like)
    if isinstance(like, dict):
        return {name: _rebuilt(like[name], leaves) for name in sorted(like)}
    return next(leaves)


def _alike(before: list[NDArray[Any]], after: list[NDArray[Any]]) -> bool:
    """Return whether the arrays after a step have the shapes of those before, and types that fit into theirs."""
    return len(before) == len(after) and all(
        old.shape == new.shape and np.can_cast(new.dtype, old.dtype, "same_kind")
        for old, new in zip(before, after, strict=True)
    )


def _form(leaves: list[NDArray[Any]]) -> str:
    """Return the types and shapes of arrays as text."""
    return ", ".join(f"{leaf.dtype} {leaf.shape}" for leaf in leaves) or "nothing"


def _answered(answer: object, name: str) -> Floats:
    """Return the answer of a policy's function as numbers.

    Raises:
        PolicyError: it answered something else.
    """
    return as_numbers(answer, _answer_of(name))


def _answer_of(name: str) -> str:
    """Return words for the answer of a policy's function, for messages."""
    return f"the answer of the function of policy '{name}'" if name else "the answer of a policy's function"


def _check_callable(function: object) -> None:
    """Refuse something that cannot be called."""
    if not callable(function):
        raise PolicyError(f"a policy of a function needs something to call, got {type(function).__name__}")


def _stated_digest(name: str, content: bytes | None) -> str:
    """Return the digest of a policy whose weights cannot be read: of `content`, or of `name` where there is none.

    Raises:
        PolicyError: neither is given.
    """
    if content is None and not name:
        raise PolicyError(
            "a policy of a function needs content=... (bytes that decide how it acts) or name=..., its digest is "
            "made from them"
        )
    return hashlib.sha256(b"name:" + name.encode() if content is None else content).hexdigest()
