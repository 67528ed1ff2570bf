# Morphisms of instances without attributes, and colimits. A morphism is found as the components of its objects, vectors
# of 1-based images. It arrives as one vector: the images of the parts of all objects, one object after the other.

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
The category of instances like `x`: with attribute types that in which attributes may be variables, as Σ makes some.
"""
category_of(x) = ACSetCategory(isempty(attrtypes(acset_schema(x))) ? x : VarACSetCat(x))

"""
The coproduct of `x` and `y`, without attributes: the apex, and for each leg the images of the parts of all objects.
"""
function coproduct_of(x, y, objects_json)
  found = coproduct[category_of(x)](x, y)  # Catlab's test csetcats/Colimits.jl, as all of these
  inclusions = legs(found)
  (ob(found), images_of(inclusions[1], x, objects_json), images_of(inclusions[2], y, objects_json))
end

"""
The pushout of f: z -> x and g: z -> y, without attributes: the apex, and for each leg the images of the parts of all
objects.
"""
function pushout_of(x, y, z, objects_json, f, g)
  category, names = category_of(x), names_of(objects_json)
  found = pushout[category](morphism_from(z, x, names, f), morphism_from(z, y, names, g))
  inclusions = legs(found)
  (ob(found), images_of(inclusions[1], x, objects_json), images_of(inclusions[2], y, objects_json))
end

"""
The coequalizer of f, g: x -> y, without attributes: the apex, and for its leg the images of the parts of all objects.
"""
function coequalizer_of(x, y, objects_json, f, g)
  category, names = category_of(x), names_of(objects_json)
  found = coequalizer[category](morphism_from(x, y, names, f), morphism_from(x, y, names, g))
  (ob(found), images_of(legs(found)[1], y, objects_json))
end

"""
The morphism from `x` to `y` with these images of the parts of the objects named, one object after the other.
"""
function morphism_from(x, y, names, images)
  images, components, start = collect(Int, images), Dict{Symbol,Vector{Int}}(), 0
  for name in names
    components[name] = images[start+1:start+nparts(x, name)]
    start += nparts(x, name)
  end
  ACSetTransformation((; components...), x, y; cat=category_of(x))
end

"""
The images of the parts of all objects named, one object after the other, under a morphism out of `x`.
"""
images_of(f, x, objects_json) = Int[f[o](i) for o in names_of(objects_json) for i in parts(x, o)]
