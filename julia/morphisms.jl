# Morphisms of instances and colimits. A morphism is found as the components of its objects, vectors of 1-based
# images. It arrives as columns: the images of the parts of all objects, one object after the other, and those of the
# variables of all attribute types, as values beside what each of them is, as in engine.jl.

"""
The homomorphisms from `x` to `y`: how many, and for each object named all their components, one after the other.

`options_json` holds `monic` and `iso`, the objects whose components must be injective or bijective, and `initial`, the
prescribed images by object and part. Only the first is searched for where `one`.
"""
function find_homomorphisms(x, y, objects_json, options_json, one)
  options = search_options(x, options_json)
  found = one ? filter!(!isnothing, Any[homomorphism(x, y; any=true, options...)]) : homomorphisms(x, y; options...)
  (length(found), Tuple(Int[f[o](i) for f in found for i in parts(x, o)] for o in names_of(objects_json)))
end

"""
How many homomorphisms there are, with the options of `find_homomorphisms`.
"""
count_all_homomorphisms(x, y, options_json) = length(homomorphisms(x, y; search_options(x, options_json)...))

function search_options(x, options_json)
  options = JSON3.read(options_json)
  sorts(key) = Symbol[Symbol(name) for name in options[key]]
  images(pairs_of_ids) = Dict{Int,Int}(id => image for (id, image) in pairs_of_ids)
  initial = (; (Symbol(name) => images(given) for (name, given) in pairs(options[:initial]))...)
  (cat=category_of(x), monic=sorts(:monic), iso=sorts(:iso), initial=initial)
end

"""
The category of instances like `x`, in which attributes may be variables. It is always given, as Catlab would infer it
from the domain alone, and variables of the codomain would be out of place.
"""
category_of(x) = ACSetCategory(isempty(attrtypes(acset_schema(x))) ? x : VarACSetCat(x))

"""
The coproduct of `x` and `y`: the apex, and for each leg the images of the parts of all objects.
"""
function coproduct_of(x, y, objects_json)
  found = coproduct[category_of(x)](x, y)  # Catlab's test VarACSetCats/Colimits.jl
  inclusions = legs(found)
  (ob(found), images_of(inclusions[1], x, objects_json), images_of(inclusions[2], y, objects_json))
end

"""
The pushout of f: z -> x and g: z -> y: the apex, and for each leg the images of the parts of all objects.
"""
function pushout_of(x, y, z, objects_json, types_json, f_ids, f_values, f_holds, g_ids, g_values, g_holds)
  category, names, types = category_of(x), names_of(objects_json), names_of(types_json)
  f = ACSetTransformation((; components_from(z, names, types, f_ids, f_values, f_holds)...), z, x; cat=category)
  g = ACSetTransformation((; components_from(z, names, types, g_ids, g_values, g_holds)...), z, y; cat=category)
  found = pushout[category](f, g)
  inclusions = legs(found)
  (ob(found), images_of(inclusions[1], x, objects_json), images_of(inclusions[2], y, objects_json))
end

"""
The coequalizer of f, g: x -> y: the apex, and for its leg the images of the parts of all objects.

It is the first leg of the pushout of [f, g]: x + x -> y and the fold x + x -> x, as Catlab 0.17.4's own fails on schemas
with attribute types.
"""
function coequalizer_of(x, y, objects_json, types_json, f_ids, f_values, f_holds, g_ids, g_values, g_holds)
  category, names, types = category_of(x), names_of(objects_json), names_of(types_json)
  f = components_from(x, names, types, f_ids, f_values, f_holds)
  g = components_from(x, names, types, g_ids, g_values, g_holds)
  twice = ob(coproduct[category](x, x))
  both = Dict{Symbol,Any}(name => vcat(f[name], g[name]) for name in keys(f))
  fold = Dict{Symbol,Any}(name => repeat(collect(Int, parts(x, name)), 2) for name in names)
  for name in types
    fold[name] = AttrVar[AttrVar(k) for k in repeat(collect(Int, parts(x, name)), 2)]
  end
  found = pushout[category](ACSetTransformation((; both...), twice, y; cat=category),
                            ACSetTransformation((; fold...), twice, x; cat=category))
  (ob(found), images_of(legs(found)[1], y, objects_json))
end

"""
The components of a morphism out of `x` by its columns: for each object ids, for each attribute type values and variables.
"""
function components_from(x, names, types, ids, values, holds)
  ids, values, holds = collect(Int, ids), collect(Int, values), collect(Int, holds)
  components = Dict{Symbol,Any}()
  start = 0
  for name in names
    n = nparts(x, name)
    components[name] = ids[start+1:start+n]
    start += n
  end
  start = 0
  for name in types
    n = nparts(x, name)
    components[name] = Union{AttrVar,Int}[holds[i] == VALUE ? values[i] : AttrVar(holds[i]) for i in start+1:start+n]
    start += n
  end
  components
end

"""
The images of the parts of all objects named, one object after the other, under a morphism out of `x`.
"""
images_of(f, x, objects_json) = Int[f[o](i) for o in names_of(objects_json) for i in parts(x, o)]
