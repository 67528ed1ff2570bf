"""sim2real_cat: does a robot policy transfer from simulation to reality, by how much not, and why.

Every name below is imported when it is first used, so that importing the package is quick and loads
neither MuJoCo nor Julia.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from sim2real_cat.acsets.acset import ACSet as ACSet
    from sim2real_cat.acsets.codecs import Codec as Codec
    from sim2real_cat.acsets.colimits import coequalizer as coequalizer
    from sim2real_cat.acsets.colimits import coproduct as coproduct
    from sim2real_cat.acsets.colimits import pushout as pushout
    from sim2real_cat.acsets.columns import Var as Var
    from sim2real_cat.acsets.delta import delta as delta
    from sim2real_cat.acsets.functor import SchemaFunctor as SchemaFunctor
    from sim2real_cat.acsets.homomorphisms import count_homomorphisms as count_homomorphisms
    from sim2real_cat.acsets.homomorphisms import homomorphism as homomorphism
    from sim2real_cat.acsets.homomorphisms import homomorphisms as homomorphisms
    from sim2real_cat.acsets.homomorphisms import is_isomorphic as is_isomorphic
    from sim2real_cat.acsets.limits import equalizer as equalizer
    from sim2real_cat.acsets.limits import product as product
    from sim2real_cat.acsets.limits import pullback as pullback
    from sim2real_cat.acsets.morphism import Morphism as Morphism
    from sim2real_cat.acsets.schema import Schema as Schema
    from sim2real_cat.acsets.sigma import sigma as sigma
    from sim2real_cat.acsets.subobjects import SubInstance as SubInstance
    from sim2real_cat.evidence.events import EventLog as EventLog
    from sim2real_cat.evidence.events import Sim2RealNaryaEvent as Sim2RealNaryaEvent
    from sim2real_cat.evidence.events import TransferDelta as TransferDelta
    from sim2real_cat.evidence.proof import ProofBundle as ProofBundle
    from sim2real_cat.evidence.proof import verify_transfer_success as verify_transfer_success
    from sim2real_cat.gaps.estimate import Estimate as Estimate
    from sim2real_cat.gaps.gap import gap as gap
    from sim2real_cat.study.result import StudyResult as StudyResult
    from sim2real_cat.study.study import Study as Study
    from sim2real_cat.transfer import laws as laws
    from sim2real_cat.transfer.instance import TransferInstance as TransferInstance
    from sim2real_cat.transfer.schema import SchSim2RealTransfer as SchSim2RealTransfer
    from sim2real_cat.transfer.schema import SchTransferStudy as SchTransferStudy
    from sim2real_cat.worlds.noise import Drift as Drift
    from sim2real_cat.worlds.noise import Dropout as Dropout
    from sim2real_cat.worlds.noise import EpisodeBias as EpisodeBias
    from sim2real_cat.worlds.noise import GaussianNoise as GaussianNoise
    from sim2real_cat.worlds.noise import Quantisation as Quantisation
    from sim2real_cat.worlds.noise import UniformNoise as UniformNoise
    from sim2real_cat.worlds.noise_chain import NoiseChain as NoiseChain
    from sim2real_cat.worlds.policy import LinearPolicy as LinearPolicy
    from sim2real_cat.worlds.policy import Policy as Policy
    from sim2real_cat.worlds.quadratic_task import QuadraticTask as QuadraticTask
    from sim2real_cat.worlds.randomization import Ensemble as Ensemble
    from sim2real_cat.worlds.randomization import Randomization as Randomization
    from sim2real_cat.worlds.recordings import iterate_log as iterate_log
    from sim2real_cat.worlds.recordings import read_log as read_log
    from sim2real_cat.worlds.recordings import write_log as write_log
    from sim2real_cat.worlds.rollout import rollout as rollout
    from sim2real_cat.worlds.rollout import rollout_to_parquet as rollout_to_parquet
    from sim2real_cat.worlds.stateful import DelayedJointPositionObservation as DelayedJointPositionObservation
    from sim2real_cat.worlds.stateful import StatefulObservation as StatefulObservation
    from sim2real_cat.worlds.stateful import with_observations as with_observations
    from sim2real_cat.worlds.training import RandomSearch as RandomSearch
    from sim2real_cat.worlds.training import train as train
    from sim2real_cat.worlds.trajectories import Trajectories as Trajectories
    from sim2real_cat.worlds.world import World as World

_HOME = {
    "ACSet": "acsets.acset",
    "Codec": "acsets.codecs",
    "DelayedJointPositionObservation": "worlds.stateful",
    "Drift": "worlds.noise",
    "Dropout": "worlds.noise",
    "Ensemble": "worlds.randomization",
    "EpisodeBias": "worlds.noise",
    "Estimate": "gaps.estimate",
    "EventLog": "evidence.events",
    "GaussianNoise": "worlds.noise",
    "LinearPolicy": "worlds.policy",
    "Morphism": "acsets.morphism",
    "NoiseChain": "worlds.noise_chain",
    "Policy": "worlds.policy",
    "ProofBundle": "evidence.proof",
    "QuadraticTask": "worlds.quadratic_task",
    "Quantisation": "worlds.noise",
    "RandomSearch": "worlds.training",
    "Randomization": "worlds.randomization",
    "SchSim2RealTransfer": "transfer.schema",
    "SchTransferStudy": "transfer.schema",
    "Schema": "acsets.schema",
    "SchemaFunctor": "acsets.functor",
    "Sim2RealNaryaEvent": "evidence.events",
    "StatefulObservation": "worlds.stateful",
    "Study": "study.study",
    "StudyResult": "study.result",
    "SubInstance": "acsets.subobjects",
    "Trajectories": "worlds.trajectories",
    "TransferDelta": "evidence.events",
    "TransferInstance": "transfer.instance",
    "UniformNoise": "worlds.noise",
    "Var": "acsets.columns",
    "World": "worlds.world",
    "coequalizer": "acsets.colimits",
    "coproduct": "acsets.colimits",
    "count_homomorphisms": "acsets.homomorphisms",
    "delta": "acsets.delta",
    "equalizer": "acsets.limits",
    "gap": "gaps.gap",
    "homomorphism": "acsets.homomorphisms",
    "homomorphisms": "acsets.homomorphisms",
    "is_isomorphic": "acsets.homomorphisms",
    "iterate_log": "worlds.recordings",
    "laws": "transfer",
    "product": "acsets.limits",
    "pullback": "acsets.limits",
    "pushout": "acsets.colimits",
    "read_log": "worlds.recordings",
    "rollout": "worlds.rollout",
    "rollout_to_parquet": "worlds.rollout",
    "sigma": "acsets.sigma",
    "train": "worlds.training",
    "verify_transfer_success": "evidence.proof",
    "with_observations": "worlds.stateful",
    "write_log": "worlds.recordings",
}
"""The module in which each public name lives."""

__all__ = [
    "__version__",
    *_HOME,
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("sim2real-cat")
    if name not in _HOME:
        raise AttributeError(f"module 'sim2real_cat' has no attribute '{name}'")
    if name == "laws":
        return import_module("sim2real_cat.transfer.laws")
    return getattr(import_module(f"sim2real_cat.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
