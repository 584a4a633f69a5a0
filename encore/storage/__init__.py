"""Stores: their contract, their backends, their transactions, and copying between them."""
