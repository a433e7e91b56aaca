"""The pipeline: how nothing is lost, doubled or put out of order. docs/pipeline.md tells its rules."""
