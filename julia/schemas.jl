# Written by python tests/support/julia_schemas.py: change the schemas in Python.

"""
The schema of policies: the environments that trained them, the robot, what was observed, and the gap.
"""
@present SchSim2RealTransfer(FreeSchema) begin
  SimEnv::Ob
  RealEnv::Ob
  Policy::Ob
  Observation::Ob

  train::Hom(SimEnv, Policy)
  deploy::Hom(Policy, RealEnv)
  observe_sim::Hom(SimEnv, Observation)
  observe_real::Hom(RealEnv, Observation)
  transfer::Hom(Policy, Policy)

  TransferGap::AttrType

  kl_gap::Attr(Policy, TransferGap)
end

"""
`SchSim2RealTransfer` with the measurements of a study.

A `Draw` is one number drawn for one parameter of one simulated world; `sim_level` is how far a curriculum had widened
the ranges it was drawn from. `trainer` says how a policy was trained, `entropy_coefficient` how much its entropy
counted. `kl_gap`, `gap_low` and `gap_high` are in nats per control step where `gap_level` is `transition`; the
`occupancy_*` are in nats per observation. `gap_note` says why a gap is missing or not to be relied on. The gap was
measured over `gap_episodes` real episodes of `gap_steps` control steps on average; `gap_null` is what the same
estimator says where there is no gap, of one side against itself, and `gap_p_value` is that of "no more than that". A
predictive gap says what it is of: `gap_of` is `randomization` where its worlds were integrated, `fibre` where the
finite mixture was taken. `kl_gap` is its rate, the divergence from the best world; `gap_uncorrected` is the same before
the correction for having been fitted, the mean over the events. `kl_gap_episode` is the gap of one episode by itself,
and `gap_complexity`, the difference, is the price of not knowing the world when an episode starts. `fibre_gap` is the
episode's gap of the finite mixture. `member_gap` is the gap of one simulated world by itself, as `fibre_gap` is that of
the mixture. `square_gap` is the divergence between what one simulated world showed and what its policy's robot showed,
at `square_level`, `occupancy` or `transition`.
"""
@present SchTransferStudy <: SchSim2RealTransfer begin
  Draw::Ob

  drawn_in::Hom(Draw, SimEnv)

  Name::AttrType
  Digest::AttrType
  Number::AttrType
  Count::AttrType
  Flag::AttrType

  sim_name::Attr(SimEnv, Name)
  sim_weight::Attr(SimEnv, Number)
  sim_level::Attr(SimEnv, Number)
  member_gap::Attr(SimEnv, TransferGap)
  member_gap_low::Attr(SimEnv, TransferGap)
  member_gap_high::Attr(SimEnv, TransferGap)
  square_gap::Attr(SimEnv, TransferGap)
  square_low::Attr(SimEnv, TransferGap)
  square_high::Attr(SimEnv, TransferGap)
  square_level::Attr(SimEnv, Name)
  parameter::Attr(Draw, Name)
  change::Attr(Draw, Name)
  drawn_value::Attr(Draw, Number)
  real_name::Attr(RealEnv, Name)
  policy_name::Attr(Policy, Name)
  weights_digest::Attr(Policy, Digest)
  birth_digest::Attr(Policy, Digest)
  trainer::Attr(Policy, Name)
  entropy_coefficient::Attr(Policy, Number)
  return_sim::Attr(Policy, Number)
  return_real::Attr(Policy, Number)
  gap_low::Attr(Policy, TransferGap)
  gap_high::Attr(Policy, TransferGap)
  gap_uncorrected::Attr(Policy, TransferGap)
  gap_of::Attr(Policy, Name)
  kl_gap_episode::Attr(Policy, TransferGap)
  kl_gap_episode_low::Attr(Policy, TransferGap)
  kl_gap_episode_high::Attr(Policy, TransferGap)
  gap_complexity::Attr(Policy, TransferGap)
  gap_complexity_low::Attr(Policy, TransferGap)
  gap_complexity_high::Attr(Policy, TransferGap)
  fibre_gap::Attr(Policy, TransferGap)
  fibre_gap_low::Attr(Policy, TransferGap)
  fibre_gap_high::Attr(Policy, TransferGap)
  gap_method::Attr(Policy, Name)
  gap_level::Attr(Policy, Name)
  gap_reliable::Attr(Policy, Flag)
  gap_note::Attr(Policy, Name)
  gap_steps::Attr(Policy, Number)
  gap_episodes::Attr(Policy, Count)
  gap_null::Attr(Policy, TransferGap)
  gap_p_value::Attr(Policy, Number)
  occupancy_gap::Attr(Policy, TransferGap)
  occupancy_low::Attr(Policy, TransferGap)
  occupancy_high::Attr(Policy, TransferGap)
  observation_name::Attr(Observation, Name)
  recording::Attr(Observation, Name)
  recording_digest::Attr(Observation, Digest)
  episodes::Attr(Observation, Count)
  frames::Attr(Observation, Count)
  diverged::Attr(Observation, Count)
end

"""
An instance of `SchSim2RealTransfer`; `Sim2RealTransfer{Float64}` has gaps in nats per control step.
"""
@acset_type Sim2RealTransfer(SchSim2RealTransfer, index=[:train, :deploy, :transfer])

"""
An instance of `SchTransferStudy`, its attribute types in the order TransferGap, Name, Digest, Number, Count, Flag.
"""
@acset_type TransferStudy(SchTransferStudy, index=[:train, :deploy, :transfer, :drawn_in])
