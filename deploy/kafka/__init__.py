"""Kafka's topics, users, rights and quotas as code."""
