"""Audit: the trail of all that happens in the chain, which proves it and names nobody."""
