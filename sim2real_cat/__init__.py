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
    from sim2real_cat.acsets.columns import Var as Var
    from sim2real_cat.acsets.maps.colimits import coequalizer as coequalizer
    from sim2real_cat.acsets.maps.colimits import coproduct as coproduct
    from sim2real_cat.acsets.maps.colimits import pushout as pushout
    from sim2real_cat.acsets.maps.homomorphisms import count_homomorphisms as count_homomorphisms
    from sim2real_cat.acsets.maps.homomorphisms import homomorphism as homomorphism
    from sim2real_cat.acsets.maps.homomorphisms import homomorphisms as homomorphisms
    from sim2real_cat.acsets.maps.homomorphisms import is_isomorphic as is_isomorphic
    from sim2real_cat.acsets.maps.limits import equalizer as equalizer
    from sim2real_cat.acsets.maps.limits import product as product
    from sim2real_cat.acsets.maps.limits import pullback as pullback
    from sim2real_cat.acsets.maps.morphism import Morphism as Morphism
    from sim2real_cat.acsets.maps.subobjects import SubInstance as SubInstance
    from sim2real_cat.acsets.migration.delta import delta as delta
    from sim2real_cat.acsets.migration.functor import SchemaFunctor as SchemaFunctor
    from sim2real_cat.acsets.migration.sigma import sigma as sigma
    from sim2real_cat.acsets.schema import Schema as Schema
    from sim2real_cat.evidence.events import EventLog as EventLog
    from sim2real_cat.evidence.events import Sim2RealNaryaEvent as Sim2RealNaryaEvent
    from sim2real_cat.evidence.events import TransferDelta as TransferDelta
    from sim2real_cat.evidence.proof import ProofBundle as ProofBundle
    from sim2real_cat.evidence.proof import verify_transfer_success as verify_transfer_success
    from sim2real_cat.gaps.distance import Distance as Distance
    from sim2real_cat.gaps.distance import distances as distances
    from sim2real_cat.gaps.estimate import Estimate as Estimate
    from sim2real_cat.gaps.kl_gap import gap as gap
    from sim2real_cat.gaps.support import Coverage as Coverage
    from sim2real_cat.gaps.support import coverage as coverage
    from sim2real_cat.policies.action_table import ActionTable as ActionTable
    from sim2real_cat.policies.files import load_policy as load_policy
    from sim2real_cat.policies.function import CallablePolicy as CallablePolicy
    from sim2real_cat.policies.function import RecurrentPolicy as RecurrentPolicy
    from sim2real_cat.policies.mlp import MlpPolicy as MlpPolicy
    from sim2real_cat.policies.onnx import OnnxPolicy as OnnxPolicy
    from sim2real_cat.policies.policy import LinearPolicy as LinearPolicy
    from sim2real_cat.policies.policy import Policy as Policy
    from sim2real_cat.predictive.estimate import PredictiveGap as PredictiveGap
    from sim2real_cat.predictive.gap import predictive_gap as predictive_gap
    from sim2real_cat.ranking.ranking import Ranking as Ranking
    from sim2real_cat.ranking.ranking import rank as rank
    from sim2real_cat.ranking.table import PolicyTable as PolicyTable
    from sim2real_cat.ranking.table import read_policy_table as read_policy_table
    from sim2real_cat.recordings.logs.mapping import LogMapping as LogMapping
    from sim2real_cat.recordings.logs.reader import read_log as read_log
    from sim2real_cat.recordings.parquet import iterate_log as iterate_log
    from sim2real_cat.recordings.parquet import write_log as write_log
    from sim2real_cat.recordings.trajectories import Trajectories as Trajectories
    from sim2real_cat.recordings.trajectories import segments as segments
    from sim2real_cat.study.folder import recompute_gaps as recompute_gaps
    from sim2real_cat.study.result import StudyResult as StudyResult
    from sim2real_cat.study.study import Study as Study
    from sim2real_cat.testing import strategies as strategies
    from sim2real_cat.training.curriculum import LinearCurriculum as LinearCurriculum
    from sim2real_cat.training.curriculum import StepWhenSaturated as StepWhenSaturated
    from sim2real_cat.training.curriculum import ThresholdCurriculum as ThresholdCurriculum
    from sim2real_cat.training.curriculum import Widening as Widening
    from sim2real_cat.training.ppo import PPO as PPO
    from sim2real_cat.training.ppo import PPOTraining as PPOTraining
    from sim2real_cat.training.ppo import train_ppo as train_ppo
    from sim2real_cat.training.random_search import RandomSearch as RandomSearch
    from sim2real_cat.training.random_search import train as train
    from sim2real_cat.transfer import laws as laws
    from sim2real_cat.transfer.deployment import deploy_recording as deploy_recording
    from sim2real_cat.transfer.instance import TransferInstance as TransferInstance
    from sim2real_cat.transfer.schema import SchSim2RealTransfer as SchSim2RealTransfer
    from sim2real_cat.transfer.schema import SchTransferStudy as SchTransferStudy
    from sim2real_cat.worlds.external.gymnasium import GymnasiumWorld as GymnasiumWorld
    from sim2real_cat.worlds.external.playground import playground_world as playground_world
    from sim2real_cat.worlds.randomization.change import Change as Change
    from sim2real_cat.worlds.randomization.dependence import Correlation as Correlation
    from sim2real_cat.worlds.randomization.dependence import FixedTotal as FixedTotal
    from sim2real_cat.worlds.randomization.ensemble import Ensemble as Ensemble
    from sim2real_cat.worlds.randomization.published import ksim_randomizers as ksim_randomizers
    from sim2real_cat.worlds.randomization.published import playground_go1 as playground_go1
    from sim2real_cat.worlds.randomization.randomization import Randomization as Randomization
    from sim2real_cat.worlds.sensors.noise import Drift as Drift
    from sim2real_cat.worlds.sensors.noise import Dropout as Dropout
    from sim2real_cat.worlds.sensors.noise import EpisodeBias as EpisodeBias
    from sim2real_cat.worlds.sensors.noise import GaussianNoise as GaussianNoise
    from sim2real_cat.worlds.sensors.noise import NoiseChain as NoiseChain
    from sim2real_cat.worlds.sensors.noise import Quantisation as Quantisation
    from sim2real_cat.worlds.sensors.noise import UniformNoise as UniformNoise
    from sim2real_cat.worlds.sensors.sensing import sensed as sensed
    from sim2real_cat.worlds.sensors.stateful import DelayedJointPositionObservation as DelayedJointPositionObservation
    from sim2real_cat.worlds.sensors.stateful import StatefulObservation as StatefulObservation
    from sim2real_cat.worlds.sensors.stateful import with_observations as with_observations
    from sim2real_cat.worlds.simulation.prediction import predict_steps as predict_steps
    from sim2real_cat.worlds.simulation.replay import replay as replay
    from sim2real_cat.worlds.simulation.rollout import rollout as rollout
    from sim2real_cat.worlds.simulation.rollout import rollout_to_parquet as rollout_to_parquet
    from sim2real_cat.worlds.tasks.quadratic import QuadraticTask as QuadraticTask
    from sim2real_cat.worlds.world import World as World

_HOME = {
    "ACSet": "acsets.acset",
    "ActionTable": "policies.action_table",
    "CallablePolicy": "policies.function",
    "Change": "worlds.randomization.change",
    "Codec": "acsets.codecs",
    "Correlation": "worlds.randomization.dependence",
    "Coverage": "gaps.support",
    "DelayedJointPositionObservation": "worlds.sensors.stateful",
    "Distance": "gaps.distance",
    "Drift": "worlds.sensors.noise",
    "Dropout": "worlds.sensors.noise",
    "Ensemble": "worlds.randomization.ensemble",
    "EpisodeBias": "worlds.sensors.noise",
    "Estimate": "gaps.estimate",
    "EventLog": "evidence.events",
    "FixedTotal": "worlds.randomization.dependence",
    "GaussianNoise": "worlds.sensors.noise",
    "GymnasiumWorld": "worlds.external.gymnasium",
    "LinearCurriculum": "training.curriculum",
    "LinearPolicy": "policies.policy",
    "LogMapping": "recordings.logs.mapping",
    "MlpPolicy": "policies.mlp",
    "Morphism": "acsets.maps.morphism",
    "NoiseChain": "worlds.sensors.noise",
    "OnnxPolicy": "policies.onnx",
    "PPO": "training.ppo",
    "PPOTraining": "training.ppo",
    "Policy": "policies.policy",
    "PolicyTable": "ranking.table",
    "PredictiveGap": "predictive.estimate",
    "ProofBundle": "evidence.proof",
    "QuadraticTask": "worlds.tasks.quadratic",
    "Quantisation": "worlds.sensors.noise",
    "RandomSearch": "training.random_search",
    "Randomization": "worlds.randomization.randomization",
    "Ranking": "ranking.ranking",
    "RecurrentPolicy": "policies.function",
    "SchSim2RealTransfer": "transfer.schema",
    "SchTransferStudy": "transfer.schema",
    "Schema": "acsets.schema",
    "SchemaFunctor": "acsets.migration.functor",
    "Sim2RealNaryaEvent": "evidence.events",
    "StatefulObservation": "worlds.sensors.stateful",
    "StepWhenSaturated": "training.curriculum",
    "Study": "study.study",
    "StudyResult": "study.result",
    "SubInstance": "acsets.maps.subobjects",
    "ThresholdCurriculum": "training.curriculum",
    "Trajectories": "recordings.trajectories",
    "TransferDelta": "evidence.events",
    "TransferInstance": "transfer.instance",
    "UniformNoise": "worlds.sensors.noise",
    "Var": "acsets.columns",
    "Widening": "training.curriculum",
    "World": "worlds.world",
    "coequalizer": "acsets.maps.colimits",
    "coproduct": "acsets.maps.colimits",
    "count_homomorphisms": "acsets.maps.homomorphisms",
    "coverage": "gaps.support",
    "delta": "acsets.migration.delta",
    "deploy_recording": "transfer.deployment",
    "distances": "gaps.distance",
    "equalizer": "acsets.maps.limits",
    "gap": "gaps.kl_gap",
    "homomorphism": "acsets.maps.homomorphisms",
    "homomorphisms": "acsets.maps.homomorphisms",
    "is_isomorphic": "acsets.maps.homomorphisms",
    "iterate_log": "recordings.parquet",
    "ksim_randomizers": "worlds.randomization.published",
    "laws": "transfer",
    "load_policy": "policies.files",
    "playground_go1": "worlds.randomization.published",
    "playground_world": "worlds.external.playground",
    "predict_steps": "worlds.simulation.prediction",
    "predictive_gap": "predictive.gap",
    "product": "acsets.maps.limits",
    "pullback": "acsets.maps.limits",
    "pushout": "acsets.maps.colimits",
    "rank": "ranking.ranking",
    "read_log": "recordings.logs.reader",
    "read_policy_table": "ranking.table",
    "recompute_gaps": "study.folder",
    "replay": "worlds.simulation.replay",
    "rollout": "worlds.simulation.rollout",
    "rollout_to_parquet": "worlds.simulation.rollout",
    "segments": "recordings.trajectories",
    "sensed": "worlds.sensors.sensing",
    "sigma": "acsets.migration.sigma",
    "strategies": "testing",
    "train": "training.random_search",
    "train_ppo": "training.ppo",
    "verify_transfer_success": "evidence.proof",
    "with_observations": "worlds.sensors.stateful",
    "write_log": "recordings.parquet",
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
