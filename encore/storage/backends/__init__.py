"""Stores that hold bytes, one module or folder per medium."""
