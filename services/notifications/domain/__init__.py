"""The decisions of notifications: pure, without a framework."""
