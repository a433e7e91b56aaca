"""The ports of the pipeline over MongoDB."""
