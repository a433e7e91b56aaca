"""Pure rules of the trail: what an entry is, and what is committed to."""
