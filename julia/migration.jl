# Migration along a functor of schemas, given by names: objects to objects, attribute types to attribute types, and homs
# and attributes to paths.

schema_from(json) = parse_json_acset_schema(Presentation, JSON3.read(json))

named(schema, name) = generator(schema, Symbol(name))

"""
The images of the generators of a schema, by its own generators; an empty path is an identity.
"""
function images_of_generators(domain, codomain, objects_json, arrows_json)
  on_objects = Dict(named(domain, name) => named(codomain, image)
                    for (name, image) in JSON3.read(objects_json, Dict{String,String}))
  category = FinCat(codomain)
  # Catlab's test csetcats/FunctorialDataMigrations.jl has such paths; `homtype=:list` fails on an empty one
  on_arrows = Dict(map(collect(JSON3.read(arrows_json, Dict{String,Vector{String}}))) do (name, path)
    f = named(domain, name)
    f => Path(category, [named(codomain, arrow) for arrow in path], on_objects[dom(f)], on_objects[codom(f)])
  end)
  (on_objects, on_arrows)
end

"""
Pull an instance back along a functor from the schema of `target`, which is empty but for attribute variables, to that
of `x`, in which everything is defined. Both have their schemas in their types, and `target` is filled and returned.
"""
function pull_back(x, target, objects_json, arrows_json)
  domain, codomain = Presentation(target), Presentation(x)
  images = images_of_generators(domain, codomain, objects_json, arrows_json)
  functor = FinFunctor(images..., FinCat(domain), FinCat(codomain); homtype=:path)
  migrate!(target, x, DeltaMigration(functor))
end

"""
Push an instance forward along a functor of schemas: the left Kan extension, by the chase.

`target` is an empty instance of the functor's codomain, whose equations the schema in JSON has. Both instances have
their schemas in their types.
"""
function push_forward(x, target, domain_json, codomain_json, objects_json, arrows_json)
  domain, codomain = schema_from(domain_json), schema_from(codomain_json)
  images = images_of_generators(domain, codomain, objects_json, arrows_json)
  functor = FinFunctor(images..., FinCat(domain), FinCat(codomain); homtype=:path)
  # Catlab's test csetcats/FunctorialDataMigrations.jl, where a functor sends homs to identities, too. With attribute
  # types the category must be given (varacsetcats/DataMigrations.jl): the one that Catlab takes for an instance without
  # variables has none, and the chase makes them.
  SigmaMigrationFunctor(functor, typeof(x), typeof(target))(x; cat=category_of(target))
end
