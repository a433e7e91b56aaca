"""The services of the chain, and the chassis that they share."""
