"""Stores that hold stores: one module for each family; import their names from ``storage.api``."""
