"""Backup of the services' databases in one encrypted file, and restore of it."""
