"""Processes are killed while the chain works."""
