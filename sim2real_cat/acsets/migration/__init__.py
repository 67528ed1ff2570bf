"""Migration of instances along functors of schemas."""
