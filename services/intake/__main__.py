"""`python -m services.intake` runs the service."""

from services.intake.main import main

main()
