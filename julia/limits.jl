# Limits of instances without attributes, in which every hom is defined: the apex, and the legs as components of the
# objects named. Catlab's test csetcats/Limits.jl.

"""
The product of x and y.
"""
function product_of(x, y, objects_json)
  X, Y = static(x), static(y)
  found = product[ACSetCategory(X)](X, Y)
  apex = ob(found)
  (apex, components_of(found, (apex, apex), objects_json))
end

"""
The pullback of f: x -> z and g: y -> z, which are given by the images of the parts of each object.
"""
function pullback_of(x, y, z, f_json, g_json, objects_json)
  X, Y, Z = static(x), static(y), static(z)
  f, g = transformation(X, Z, images_from(f_json)), transformation(Y, Z, images_from(g_json))
  found = pullback[ACSetCategory(X)](f, g)
  apex = ob(found)
  (apex, components_of(found, (apex, apex), objects_json))
end

"""
The equalizer of f and g: x -> y.
"""
function equalizer_of(x, y, f_json, g_json, objects_json)
  X, Y = static(x), static(y)
  f, g = transformation(X, Y, images_from(f_json)), transformation(X, Y, images_from(g_json))
  found = equalizer[ACSetCategory(X)](f, g)
  apex = ob(found)
  (apex, components_of(found, (apex,), objects_json))
end

images_from(json) = JSON3.read(json, Dict{String,Vector{Int}})
