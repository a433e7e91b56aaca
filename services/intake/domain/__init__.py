"""The pure decisions of intake: no framework, no clock, no store."""
