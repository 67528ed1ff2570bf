"""Databases whose schema is a category (ACSets): schemas, instances, paths, preimages, exchange. No robot in here."""
