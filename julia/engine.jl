# The calls of the Python engine: instances whose schema is a value, filled and read by whole columns.
# Structure arrives as JSON text and columns as vectors of Int, Float64 or Bool; texts are one JSON array. Beside the
# values of an attribute stands what each slot holds: -1 a value, 0 nothing, k >= 1 the attribute variable k.

const VALUE, NOTHING = -1, 0
const JULIA_TYPES = Dict{String,Type}("float" => Float64, "int" => Int, "str" => String, "bool" => Bool)
const FILL = Dict{Type,Any}(Float64 => NaN, Int => 0, String => "", Bool => false)

names_of(json) = Symbol[Symbol(name) for name in JSON3.read(json, Vector{String})]

"""
An instance without parts of a schema in ACSets.jl's JSON; `types_json` gives each attribute type's type by name.
It is a `DynamicACSet`, or has its schema in its type where `compiled`, as limits, colimits and migrations need.
"""
function empty_instance(schema_json, types_json, compiled=false)
  schema = parse_json_acset_schema(BasicSchema, JSON3.read(schema_json))
  types = Dict{Symbol,Type}(Symbol(name) => JULIA_TYPES[type]
                            for (name, type) in JSON3.read(types_json, Dict{String,String}))
  index = Symbol[f for (f, _, _) in homs(schema)]
  compiled ? AnonACSet(schema; type_assignment=types, index=index) :
             DynamicACSet("Instance", schema; type_assignment=types, index=index)
end

"""
Add parts and attribute variables: how many of each object and attribute type.
"""
function add_sizes(x, sizes_json)
  for (name, n) in JSON3.read(sizes_json, Dict{String,Int})
    add_parts!(x, Symbol(name), n)
  end
  nothing
end

"""
How many parts of an object, or variables of an attribute type, there are.
"""
size_of(x, name) = nparts(x, Symbol(name))

"""
Set a whole hom; 0 is undefined.
"""
function set_hom(x, f, targets)
  targets = collect(Int, targets)
  defined = findall(>(0), targets)
  set_subpart!(x, defined, Symbol(f), targets[defined])
  nothing
end

"""
Set a whole attribute.
"""
function set_attr(x, attribute, values, holds)
  name, values, holds = Symbol(attribute), values_from(values), collect(Int, holds)
  valued, variable = findall(==(VALUE), holds), findall(>(0), holds)
  set_subpart!(x, valued, name, values[valued])
  set_subpart!(x, variable, name, AttrVar[AttrVar(k) for k in holds[variable]])
  nothing
end

"""
Where a path of homs sends parts; parts and answers may be 0.
"""
follow_homs(x, path_json, ids) = along(x, collect(Int, ids), names_of(path_json))

"""
What an attribute holds at parts, some of which may be 0: values, and what each slot holds.
"""
function attr_values(x, attribute, ids)
  name = Symbol(attribute)
  T = ACSets.DenseACSets.attr_type(x, name)
  found = values_at(x, collect(Int, ids), name)
  holds = Int[value === nothing ? NOTHING : value isa AttrVar ? value.val : VALUE for value in found]
  values = T[hold == VALUE ? value : FILL[T] for (value, hold) in zip(found, holds)]
  (values_to(values), holds)
end

"""
The preimages of parts along a path of homs: all ids in one vector, and where the preimage of each part ends in it.
"""
preimages_of_parts(x, path_json, ids) = flat(sorted_preimage(x, id, names_of(path_json)) for id in collect(Int, ids))

"""
The preimages of values and variables along a path that ends in an attribute, likewise.
"""
function preimages_of_values(x, path_json, values, holds)
  path, wanted = names_of(path_json), zip(values_from(values), collect(Int, holds))
  flat(sorted_preimage(x, hold == VALUE ? value : AttrVar(hold), path) for (value, hold) in wanted)
end

"""
The sorted preimage of one part, value or variable. NaN, which Catlab takes for unequal to itself, finds NaN.
"""
function sorted_preimage(x, value, path)
  value isa AbstractFloat && isnan(value) || return sort!(collect(Int, incident(x, value, Tuple(path))))
  ids = findall(found -> isequal(found, NaN), subpart(x, last(path)))
  for f in reverse(path[1:end-1])
    ids = reduce(vcat, (collect(Int, incident(x, id, f)) for id in ids); init=Int[])
  end
  sort!(ids)
end

function flat(preimages)
  ids, ends = Int[], Int[]
  for preimage in preimages
    append!(ids, preimage)
    push!(ends, length(ids))
  end
  (ids, ends)
end

# In ACSets 0.2.26 the part that moves into the slot of a removed one keeps the values of the removed one wherever its
# own are undefined; both kinds of removal clear these.

"""
Remove parts, given by sorted ids; the arrows to them become undefined.
"""
function remove_parts(x, ob, ids)
  ids = collect(Int, ids)
  for (f, domain) in arrows_of(x)
    domain == Symbol(ob) && clear_subpart!(x, ids, f)
  end
  rem_parts!(x, Symbol(ob), ids)
  nothing
end

"""
Remove parts and everything that points at them: for each object named, the old ids of what is left.
"""
function remove_cascading(x, ob, ids, objects_json)
  undefined = Dict(f => Set(undefined_at(x, f)) for (f, _) in arrows_of(x))
  old = cascading_rem_parts!(x, Symbol(ob), collect(Int, ids))
  for (f, domain) in arrows_of(x)
    clear_subpart!(x, Int[new for (new, id) in enumerate(old[domain]) if id in undefined[f]], f)
  end
  Tuple(collect(Int, old[name]) for name in names_of(objects_json))
end

"""
The disjoint union: the parts and variables of `x`, then those of `y`.
"""
union_of(x, y) = disjoint_union(x, y)

values_from(values) = values isa AbstractString ? JSON3.read(values, Vector{String}) : collect(values)
values_to(values) = values isa Vector{String} ? JSON3.write(values) : values

"""
The homs and attributes, each with the object where it starts.
"""
function arrows_of(x)
  schema = acset_schema(x)
  [(f, domain) for (f, domain, _) in Iterators.flatten((homs(schema), attrs(schema)))]
end

"""
The parts at which a hom or attribute is undefined.
"""
undefined_at(x, f) = f in homs(acset_schema(x); just_names=true) ?
  findall(iszero, subpart(x, f)) : findall(isnothing, subpart(x, f))
