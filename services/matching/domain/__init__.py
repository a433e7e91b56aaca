"""The decisions of matching, pure: no clock, no database, no broker."""
