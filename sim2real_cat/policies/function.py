"""Any Python function as a policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.policy import Policy, as_numbers


@dataclass(frozen=True, eq=False)
class CallablePolicy(Policy):
    """``action = function(observation)``, for many episodes in one call.

    The digest of a function cannot be computed, so it is what you say: the SHA-256 of `content`, bytes that decide
    how the function acts (the file of its weights, say), or else of `name`. A digest made from a name says only that
    you called two policies alike; change the name whenever the function changes.

    Attributes:
        function: from observations (n, d) to actions (n, nu). For bytes that do not depend on how many episodes run
            together it has to treat every row alike, which a matrix product does not (it rounds differently).
        name: what to call the policy.
        content: bytes that decide how the function acts.
    """

    function: Callable[[Floats], ArrayLike]
    name: str = ""
    content: bytes | None = None

    def __post_init__(self) -> None:
        check_callable(self.function)
        stated_digest(self.name, self.content)

    @classmethod
    def one_by_one(
        cls, function: Callable[[Floats], ArrayLike], name: str = "", content: bytes | None = None
    ) -> CallablePolicy:
        """A policy from a function of one observation, (d,) -> (nu,), called once for every episode."""
        check_callable(function)

        def batched(observations: Floats) -> Floats:
            return as_numbers([answered(function(row), name) for row in observations], _what(name))

        return cls(batched, name, content)

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        # a copy: the rows belong to the record of the rollout, and a function may write into its argument
        return answered(self.function(observations.copy()), self.name)

    @property
    def digest(self) -> str:
        return stated_digest(self.name, self.content)


def answered(answer: object, name: str) -> Floats:
    """What the function of a policy answered, as numbers.

    Raises:
        PolicyError: it answered something else.
    """
    return as_numbers(answer, _what(name))


def _what(name: str) -> str:
    return f"the answer of the function of policy '{name}'" if name else "the answer of a policy's function"


def check_callable(function: object) -> None:
    """Refuse what cannot be called."""
    if not callable(function):
        raise PolicyError(f"a policy of a function needs something to call, got {type(function).__name__}")


def stated_digest(name: str, content: bytes | None) -> str:
    """The digest of a policy whose weights nobody can read: of `content`, or of `name` where there is none.

    Raises:
        PolicyError: neither is given.
    """
    if content is None and not name:
        raise PolicyError(
            "a policy of a function needs content=... (bytes that decide how it acts) or name=..., its digest is "
            "made from them"
        )
    return hashlib.sha256(b"name:" + name.encode() if content is None else content).hexdigest()
