"""Tests against a real Keycloak with the realm of the compose file."""
