"""What an operator sees of the chain while it runs."""
