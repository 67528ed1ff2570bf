# Migration along a functor of schemas, given by names: objects to objects, and homs to paths of homs.

schema_from(json) = parse_json_acset_schema(Presentation, JSON3.read(json))

named(schema, name) = generator(schema, Symbol(name))

"""
Pull an instance back along a functor from the schema of `target`, which has no attributes, to that of `x`.

`target` is an instance of the functor's domain. `homs_json` sends homs to paths; an empty path is an identity.
"""
function pull_back(x, target, domain_json, codomain_json, objects_json, homs_json)
  domain, codomain = schema_from(domain_json), schema_from(codomain_json)
  category = FinCat(codomain)
  on_objects = Dict(named(domain, ob) => named(codomain, image)
                    for (ob, image) in JSON3.read(objects_json, Dict{String,String}))
  on_homs = Dict(map(collect(JSON3.read(homs_json, Dict{String,Vector{String}}))) do (name, path)
    f = named(domain, name)
    start = on_objects[dom(f)]
    f => isempty(path) ? Path(category, [], start, start) : Path(category, [named(codomain, arrow) for arrow in path])
  end)
  migrate(typeof(static(target)), static(x), on_objects, on_homs; homtype=:path)
end

"""
Push an instance forward along a functor of schemas that sends homs to homs: the left Kan extension, by the chase.

`target` is an instance of the functor's codomain.
"""
function push_forward(x, target, domain_json, codomain_json, objects_json, homs_json)
  domain, codomain = schema_from(domain_json), schema_from(codomain_json)
  images(json) = Dict(named(domain, name) => named(codomain, image)
                      for (name, image) in JSON3.read(json, Dict{String,String}))
  functor = FinFunctor(images(objects_json), images(homs_json), FinCat(domain), FinCat(codomain); homtype=:generator)
  X = static(x)
  SigmaMigrationFunctor(functor, typeof(X), typeof(static(target)))(X)
end
