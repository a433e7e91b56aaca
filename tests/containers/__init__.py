"""Tests against Apache Kafka and MongoDB in containers: `make test-containers`."""
