# Morphisms of instances, limits and colimits. A morphism travels as the components of its objects, in the order of the
# schema: vectors of 1-based images. Components of attribute types follow from these wherever a part holds the variable.

"""
The homomorphisms from `x` to `y`: how many, and for each object named all their components, one after the other.

`options_json` holds `monic` and `iso`, the objects whose components must be injective or bijective, and `initial`, the
prescribed images by object and part. Only the first is searched for where `one`.
"""
function find_homomorphisms(x, y, objects_json, options_json, one)
  options = search_options(options_json)
  found = one ? filter!(!isnothing, Any[homomorphism(x, y; any=true, options...)]) : homomorphisms(x, y; options...)
  (length(found), Tuple(Int[f[o](i) for f in found for i in parts(x, o)] for o in names_of(objects_json)))
end

"""
How many homomorphisms there are, with the options of `find_homomorphisms`.
"""
count_all_homomorphisms(x, y, options_json) = length(homomorphisms(x, y; search_options(options_json)...))

function search_options(options_json)
  options = JSON3.read(options_json)
  sorts(key) = Symbol[Symbol(name) for name in options[key]]
  images(pairs_of_ids) = Dict{Int,Int}(id => image for (id, image) in pairs_of_ids)
  initial = (; (Symbol(name) => images(given) for (name, given) in pairs(options[:initial]))...)
  (monic=sorts(:monic), iso=sorts(:iso), initial=initial)
end

"""
The same instance with its schema in its type. Limits, migration and transformations have no method for a
`DynamicACSet`; colimits, homomorphisms and queries do. It is compiled once for every schema.
"""
function static(x)
  schema = acset_schema(x)
  types = Dict{Symbol,Type}(T => ACSets.DenseACSets.attrtype_type(x, T) for T in attrtypes(schema))
  y = AnonACSet(schema; type_assignment=types, index=Symbol[f for (f, _, _) in homs(schema)])
  copy_parts!(y, x)
  y
end

transformation(x, y, components) =
  ACSetTransformation(x, y; (Symbol(ob) => images for (ob, images) in components)...)

"""
A product or coproduct of `x` and `y`: the apex, and its legs as components of the objects named.
"""
function of_pair(kind, x, y, objects_json)
  X, Y = kind == "coproduct" ? (x, y) : (static(x), static(y))
  category = ACSetCategory(X)
  found = kind == "coproduct" ? coproduct[category](X, Y) : product[category](X, Y)
  apex = ob(found)
  (apex, components_of(found, kind == "coproduct" ? (X, Y) : (apex, apex), objects_json))
end

"""
A pullback (f: x -> z <- y: g), pushout (f: x <- z -> y: g), equalizer or coequalizer (f, g: x -> y): the apex, and its
legs as components of the objects named. For the last two `z` is `nothing`.
"""
function of_morphisms(kind, x, y, z, f_json, g_json, objects_json)
  X, Y = static(x), static(y)
  Z = z === nothing ? Y : static(z)
  ends = kind == "pullback" ? ((X, Z), (Y, Z)) : kind == "pushout" ? ((Z, X), (Z, Y)) : ((X, Y), (X, Y))
  images = [JSON3.read(json, Dict{String,Vector{Int}}) for json in (f_json, g_json)]
  f, g = (transformation(D, C, components) for ((D, C), components) in zip(ends, images))
  category = ACSetCategory(X)
  found = kind == "pullback" ? pullback[category](f, g) : kind == "pushout" ? pushout[category](f, g) :
          kind == "equalizer" ? equalizer[category](f, g) : isempty(attrtypes(acset_schema(X))) ?
          coequalizer[category](f, g) : coequalizer_by_pushout(category, X, Y, images...)
  apex = ob(found)
  sources = kind == "pullback" ? (apex, apex) : kind == "pushout" ? (X, Y) : kind == "equalizer" ? (apex,) : (Y,)
  (apex, components_of(found, sources, objects_json))
end

"""
The coequalizer of f, g: x -> y as the first leg of the pushout of [f, g]: x + x -> y and the fold x + x -> x.
Catlab 0.17.4's own fails on schemas with attribute types.
"""
function coequalizer_by_pushout(category, X, Y, f, g)
  twice = ob(coproduct[category](X, X))
  both = transformation(twice, Y, Dict(name => vcat(f[name], g[name]) for name in keys(f)))
  fold = transformation(twice, X, Dict(name => repeat(1:length(f[name]), 2) for name in keys(f)))
  pushout[category](both, fold)
end

"""
The legs of a limit or colimit, which start in `sources`: for each the components of the objects named.
"""
components_of(cone, sources, objects_json) =
  Tuple(Tuple(Int[leg[o](i) for i in parts(source, o)] for o in names_of(objects_json))
        for (leg, source) in zip(legs(cone), sources))
