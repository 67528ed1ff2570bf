"""Databases whose schema is a category. No robot in here."""
