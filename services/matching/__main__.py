"""`python -m services.matching` runs the service."""

from services.matching.main import main

main()
