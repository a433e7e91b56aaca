"""The whole chain on one machine: an embedded broker and database, the services, and an issuer with sample logins."""
