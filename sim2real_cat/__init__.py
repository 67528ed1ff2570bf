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
    from sim2real_cat.gaps.coverage import Coverage as Coverage
    from sim2real_cat.gaps.coverage import coverage as coverage
    from sim2real_cat.gaps.distances import Distance as Distance
    from sim2real_cat.gaps.distances import distances as distances
    from sim2real_cat.gaps.estimate import Estimate as Estimate
    from sim2real_cat.gaps.gap import gap as gap
    from sim2real_cat.gaps.predictive import Predictive as Predictive
    from sim2real_cat.gaps.ranking import Ranking as Ranking
    from sim2real_cat.gaps.ranking import ranking as ranking
    from sim2real_cat.gaps.ranking_csv import read_policy_table as read_policy_table
    from sim2real_cat.gaps.ranking_table import PolicyTable as PolicyTable
    from sim2real_cat.study.recompute import recompute_gaps as recompute_gaps
    from sim2real_cat.study.result import StudyResult as StudyResult
    from sim2real_cat.study.study import Study as Study
    from sim2real_cat.transfer import laws as laws
    from sim2real_cat.transfer import strategies as strategies
    from sim2real_cat.transfer.instance import TransferInstance as TransferInstance
    from sim2real_cat.transfer.predictive_gap import predictive_gap as predictive_gap
    from sim2real_cat.transfer.recorded import deploy_recording as deploy_recording
    from sim2real_cat.transfer.schema import SchSim2RealTransfer as SchSim2RealTransfer
    from sim2real_cat.transfer.schema import SchTransferStudy as SchTransferStudy
    from sim2real_cat.worlds.action_table import ActionTable as ActionTable
    from sim2real_cat.worlds.callable_policy import CallablePolicy as CallablePolicy
    from sim2real_cat.worlds.changes import Change as Change
    from sim2real_cat.worlds.curriculum import LinearCurriculum as LinearCurriculum
    from sim2real_cat.worlds.curriculum import StepWhenSaturated as StepWhenSaturated
    from sim2real_cat.worlds.curriculum import ThresholdCurriculum as ThresholdCurriculum
    from sim2real_cat.worlds.curriculum import Widening as Widening
    from sim2real_cat.worlds.dependence import Correlation as Correlation
    from sim2real_cat.worlds.dependence import FixedTotal as FixedTotal
    from sim2real_cat.worlds.factory import ksim_randomizers as ksim_randomizers
    from sim2real_cat.worlds.factory import playground_go1 as playground_go1
    from sim2real_cat.worlds.gymnasium_world import GymnasiumWorld as GymnasiumWorld
    from sim2real_cat.worlds.logs.mapping import LogMapping as LogMapping
    from sim2real_cat.worlds.mlp_policy import MlpPolicy as MlpPolicy
    from sim2real_cat.worlds.noise import Drift as Drift
    from sim2real_cat.worlds.noise import Dropout as Dropout
    from sim2real_cat.worlds.noise import EpisodeBias as EpisodeBias
    from sim2real_cat.worlds.noise import GaussianNoise as GaussianNoise
    from sim2real_cat.worlds.noise import Quantisation as Quantisation
    from sim2real_cat.worlds.noise import UniformNoise as UniformNoise
    from sim2real_cat.worlds.noise_chain import NoiseChain as NoiseChain
    from sim2real_cat.worlds.onnx_policy import OnnxPolicy as OnnxPolicy
    from sim2real_cat.worlds.playground import playground_world as playground_world
    from sim2real_cat.worlds.policy import LinearPolicy as LinearPolicy
    from sim2real_cat.worlds.policy import Policy as Policy
    from sim2real_cat.worlds.policy_files import load_policy as load_policy
    from sim2real_cat.worlds.ppo import PPO as PPO
    from sim2real_cat.worlds.ppo import PPOTraining as PPOTraining
    from sim2real_cat.worlds.ppo import train_ppo as train_ppo
    from sim2real_cat.worlds.prediction import predict_steps as predict_steps
    from sim2real_cat.worlds.quadratic_task import QuadraticTask as QuadraticTask
    from sim2real_cat.worlds.randomization import Ensemble as Ensemble
    from sim2real_cat.worlds.randomization import Randomization as Randomization
    from sim2real_cat.worlds.recordings import iterate_log as iterate_log
    from sim2real_cat.worlds.recordings import read_log as read_log
    from sim2real_cat.worlds.recordings import write_log as write_log
    from sim2real_cat.worlds.recurrent_policy import RecurrentPolicy as RecurrentPolicy
    from sim2real_cat.worlds.replay import replay as replay
    from sim2real_cat.worlds.rollout import rollout as rollout
    from sim2real_cat.worlds.rollout import rollout_to_parquet as rollout_to_parquet
    from sim2real_cat.worlds.segments import segments as segments
    from sim2real_cat.worlds.sensed import sensed as sensed
    from sim2real_cat.worlds.stateful import DelayedJointPositionObservation as DelayedJointPositionObservation
    from sim2real_cat.worlds.stateful import StatefulObservation as StatefulObservation
    from sim2real_cat.worlds.stateful import with_observations as with_observations
    from sim2real_cat.worlds.training import RandomSearch as RandomSearch
    from sim2real_cat.worlds.training import train as train
    from sim2real_cat.worlds.trajectories import Trajectories as Trajectories
    from sim2real_cat.worlds.world import World as World

_HOME = {
    "ACSet": "acsets.acset",
    "ActionTable": "worlds.action_table",
    "CallablePolicy": "worlds.callable_policy",
    "Change": "worlds.changes",
    "Codec": "acsets.codecs",
    "Correlation": "worlds.dependence",
    "Coverage": "gaps.coverage",
    "DelayedJointPositionObservation": "worlds.stateful",
    "Distance": "gaps.distances",
    "Drift": "worlds.noise",
    "Dropout": "worlds.noise",
    "Ensemble": "worlds.randomization",
    "EpisodeBias": "worlds.noise",
    "Estimate": "gaps.estimate",
    "EventLog": "evidence.events",
    "FixedTotal": "worlds.dependence",
    "GaussianNoise": "worlds.noise",
    "GymnasiumWorld": "worlds.gymnasium_world",
    "LinearCurriculum": "worlds.curriculum",
    "LinearPolicy": "worlds.policy",
    "LogMapping": "worlds.logs.mapping",
    "MlpPolicy": "worlds.mlp_policy",
    "Morphism": "acsets.morphism",
    "NoiseChain": "worlds.noise_chain",
    "OnnxPolicy": "worlds.onnx_policy",
    "PPO": "worlds.ppo",
    "PPOTraining": "worlds.ppo",
    "Policy": "worlds.policy",
    "PolicyTable": "gaps.ranking_table",
    "Predictive": "gaps.predictive",
    "ProofBundle": "evidence.proof",
    "QuadraticTask": "worlds.quadratic_task",
    "Quantisation": "worlds.noise",
    "RandomSearch": "worlds.training",
    "Randomization": "worlds.randomization",
    "Ranking": "gaps.ranking",
    "RecurrentPolicy": "worlds.recurrent_policy",
    "SchSim2RealTransfer": "transfer.schema",
    "SchTransferStudy": "transfer.schema",
    "Schema": "acsets.schema",
    "SchemaFunctor": "acsets.functor",
    "Sim2RealNaryaEvent": "evidence.events",
    "StatefulObservation": "worlds.stateful",
    "StepWhenSaturated": "worlds.curriculum",
    "Study": "study.study",
    "StudyResult": "study.result",
    "SubInstance": "acsets.subobjects",
    "ThresholdCurriculum": "worlds.curriculum",
    "Trajectories": "worlds.trajectories",
    "TransferDelta": "evidence.events",
    "TransferInstance": "transfer.instance",
    "UniformNoise": "worlds.noise",
    "Var": "acsets.columns",
    "Widening": "worlds.curriculum",
    "World": "worlds.world",
    "coequalizer": "acsets.colimits",
    "coproduct": "acsets.colimits",
    "count_homomorphisms": "acsets.homomorphisms",
    "coverage": "gaps.coverage",
    "delta": "acsets.delta",
    "deploy_recording": "transfer.recorded",
    "distances": "gaps.distances",
    "equalizer": "acsets.limits",
    "gap": "gaps.gap",
    "homomorphism": "acsets.homomorphisms",
    "homomorphisms": "acsets.homomorphisms",
    "is_isomorphic": "acsets.homomorphisms",
    "iterate_log": "worlds.recordings",
    "ksim_randomizers": "worlds.factory",
    "laws": "transfer",
    "load_policy": "worlds.policy_files",
    "playground_go1": "worlds.factory",
    "playground_world": "worlds.playground",
    "predict_steps": "worlds.prediction",
    "predictive_gap": "transfer.predictive_gap",
    "product": "acsets.limits",
    "pullback": "acsets.limits",
    "pushout": "acsets.colimits",
    "ranking": "gaps.ranking",
    "read_log": "worlds.recordings",
    "read_policy_table": "gaps.ranking_csv",
    "recompute_gaps": "study.recompute",
    "replay": "worlds.replay",
    "rollout": "worlds.rollout",
    "rollout_to_parquet": "worlds.rollout",
    "segments": "worlds.segments",
    "sensed": "worlds.sensed",
    "sigma": "acsets.sigma",
    "strategies": "transfer",
    "train": "worlds.training",
    "train_ppo": "worlds.ppo",
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
    if name in ("laws", "strategies"):
        return import_module(f"sim2real_cat.{_HOME[name]}.{name}")
    return getattr(import_module(f"sim2real_cat.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
