"""The demo can fail: what it checks with is checked here."""
