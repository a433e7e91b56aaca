"""Intake: who a person is (the vault), signals, the financial test, and who may see what of a person."""
