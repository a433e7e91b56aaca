"""How the chain is put on machines."""
