"""Read the noise of sensors as a TOML table gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.toml_table import TomlTable, is_number
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
    """Read noise by sensor from an entry such as ``{"*" = 0.01, hinge = [{gaussian = 0.02}, {quantisation = 0.001}]}``.

    A sensor has a number (the deviation of Gaussian noise), a model (``{uniform = 0.1}``; one of several numbers is
    ``{drift = {deviation = 0.1, time_constant = 5.0}}``) or a list of them, which act in that order. Instead of a
    table by sensor the entry may be a number or a list, for all sensors.

    Raises:
        WorldError: a model that is not known, a key it does not have, a number that is none or out of its range.
    """
    if not isinstance(entry, Mapping):
        return {"*": _chain(entry, place)}
    table = TomlTable(entry, place, WorldError)
    return {str(sensor): _chain(value, table.beside(str(sensor))) for sensor, value in entry.items()}


def _chain(entry: object, place: str) -> float | NoiseChain:
    """Return the noise of one sensor; a number stays one."""
    if not isinstance(entry, list | tuple):
        model = _model(entry, place)
        return NoiseChain((model,)) if isinstance(model, NoiseModel) else model
    models = [_model(part, place) for part in entry]
    try:
        return NoiseChain.of(models)
    except WorldError as error:
        raise WorldError(f"{place}: {error}") from None


def _model(part: object, place: str) -> float | NoiseModel:
    """Return one model, or the deviation of a Gaussian one."""
    if is_number(part):
        return float(part)
    if not isinstance(part, Mapping):
        wanted = "a finite number, or a model such as { gaussian = 0.1 }, or a list of them"
        raise WorldError(f"{place}: needs to be {wanted}, got {part!r}")
    table = TomlTable(part, place, WorldError)
    if len(part) != 1:
        raise table.refusal(f"needs to be one model, one of {listed(MODELS)}, got {dict(part)!r}; several make a list")
    (name,) = part
    if name not in MODELS:
        raise table.refusal(unknown_name("noise model", str(name), MODELS))
    settings = table.raw(name)
    keys = [field.name for field in fields(MODELS[name])]  # type: ignore[arg-type]  # every model is a dataclass
    if not isinstance(settings, Mapping):
        if len(keys) > 1:
            raise table.refusal(f"needs to be {{ {name} = {{ {' = ..., '.join(keys)} = ... }} }}, got {dict(part)!r}")
        settings = {keys[0]: settings}
    return TomlTable(settings, table.beside(name), WorldError).fill(MODELS[name])
