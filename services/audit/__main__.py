"""`python -m services.audit` runs the service."""

from services.audit.main import main

main()
