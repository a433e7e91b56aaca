"""What `docker-compose.yml` starts once, or for trying out: secrets, users of the database, the sample issuer."""
