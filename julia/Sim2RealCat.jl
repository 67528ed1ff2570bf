"""
Sim-to-real transfer as a database whose schema is a category, on Catlab: the schemas, their instances and laws,
and the calls by which the Python package sim2real_cat lets Catlab compute.

Ids are 1-based in here, and 0 is an undefined arrow, as in ACSets.jl.
"""
module Sim2RealCat

using ACSets, Catlab, JSON3
using Catlab.CategoricalAlgebra, Catlab.Graphs
using PrecompileTools: @compile_workload, @setup_workload

# A name that two of the modules above export is undefined in here from Julia 1.12.5 on, as `collect` would be, of which
# Catlab 0.17.4 exports its own. So every name of Base that is used is imported by name, which goes before exports.
# Packages are used as a whole, as they ran: `tests/support/julia_package.py` lists what is used of each.
import Base: !, !=, +, -, /, <, ==, >, >=, @warn, AbstractVector, Dict, Inf, Iterators, NaN, Set, Vector, all,
  append!, collect, convert, enumerate, fill, filter!, findall, haskey, in, isempty, isequal, isfinite,
  isnan, isnothing, iszero, join, keys, last, length, map, ones, open, pairs, print, push!, reduce,
  reverse, sort!, string, sum, vcat, zeros, zip

export SchSim2RealTransfer, SchTransferStudy, Sim2RealTransfer, TransferStudy
export fibre, mixture_weights, fixed_points, read_instance, write_instance
export LAWS, Witness, check

include("schemas.jl")
include("paths.jl")
include("instances.jl")
include("laws.jl")
include("engine.jl")
include("sets.jl")
include("morphisms.jl")
include("queries.jl")
include("limits.jl")
include("subobjects.jl")
include("migration.jl")
include("precompile.jl")

end
