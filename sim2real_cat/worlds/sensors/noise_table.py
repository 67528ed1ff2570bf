"""Read the noise of sensors as a TOML table gives it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.worlds.sensors.noise import (
    Drift,
    Dropout,
    EpisodeBias,
    GaussianNoise,
    NoiseChain,
    NoiseModel,
    Quantisation,
    UniformNoise,
)

MODELS: dict[str, type[NoiseModel]] = {
    "gaussian": GaussianNoise,
    "uniform": UniformNoise,
    "bias": EpisodeBias,
    "drift": Drift,
    "quantisation": Quantisation,
    "dropout": Dropout,
}
"""What the noise models are called in a table."""


def noise_from_table(entry: object, place: str = "noise") -> dict[str, float | NoiseChain]:
    """Noise by sensor, of an entry such as ``{"*" = 0.01, hinge = [{gaussian = 0.02}, {quantisation = 0.001}]}``.

    A sensor has a number (the deviation of Gaussian noise), a model (``{uniform = 0.1}``; one of several numbers is
    ``{drift = {deviation = 0.1, time_constant = 5.0}}``) or a list of them, which act in that order. Instead of a
    table by sensor the entry may be a number or a list, for all sensors.

    Raises:
        WorldError: a model that is not known, a key it does not have, a number that is none or out of its range.
    """
    if not isinstance(entry, Mapping):
        return {"*": _chain(entry, f"{place}:")}
    return {str(sensor): _chain(value, f"{place}: {sensor}") for sensor, value in entry.items()}


def _chain(entry: object, where: str) -> float | NoiseChain:
    """The noise of one sensor; a number stays one."""
    try:
        if not isinstance(entry, Sequence) or isinstance(entry, str):
            model = _model(entry)
            return NoiseChain((model,)) if isinstance(model, NoiseModel) else model
        return NoiseChain.of([_model(part) for part in entry])
    except WorldError as error:
        raise WorldError(f"{where} {error}") from None


def _model(part: object) -> float | NoiseModel:
    """One model, or the deviation of a Gaussian one."""
    if not isinstance(part, Mapping):
        return _number(part, "or a model such as { gaussian = 0.1 }, or a list of them")
    if len(part) != 1:
        raise WorldError(f"needs to be one model, one of {listed(MODELS)}, got {dict(part)!r}; several make a list")
    ((name, settings),) = part.items()
    if name not in MODELS:
        raise WorldError("has an " + unknown_name("noise model", str(name), MODELS))
    keys = [field.name for field in fields(MODELS[name])]  # type: ignore[arg-type]  # every model is a dataclass
    if not isinstance(settings, Mapping):
        if len(keys) > 1:
            raise WorldError(f"needs to be {{ {name} = {{ {' = ..., '.join(keys)} = ... }} }}, got {dict(part)!r}")
        settings = {keys[0]: settings}
    for key in settings:
        if key not in keys:
            raise WorldError(f"'{name}' has an " + unknown_name("key", str(key), keys))
    missing = [key for key in keys if key not in settings]
    if missing:
        raise WorldError(f"'{name}' lacks {listed(missing)}")
    return MODELS[name](**{key: _number(settings[key], f"for {key} of '{name}'") for key in keys})


def _number(value: object, purpose: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise WorldError(f"needs to be a number {purpose}, got {value!r}")
    return float(value)
