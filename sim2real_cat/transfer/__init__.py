"""The sim-to-real schema, its instances and their laws."""
