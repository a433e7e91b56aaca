"""`python -m deploy.compose.topics`: topics, users and rights of Kafka, by `hulpketen topics apply`.

Before it, a password for each partner that chose Kafka since the last time: nobody else is there to make one.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from pydantic import BaseModel

from deploy.kafka.cluster import Cluster, DirectoryUnread
from deploy.kafka.desired import desired
from deploy.local.folder import write_private
from services.chassis.settings import KafkaSettings, load

PASSWORDS = Path("/run/secrets")
PROFILE = "single"
_WITHIN_S = 60.0


class _Settings(BaseModel):
    kafka: KafkaSettings


def main() -> None:
    """Try until the broker answers, for a minute, and apply."""
    cluster = Cluster(load(_Settings).kafka)
    end = time.monotonic() + _WITHIN_S
    while True:
        try:
            users = desired(PROFILE, _partners(cluster)).users
            break
        except (KafkaException, KafkaError, TimeoutError) as error:
            if time.monotonic() > end:
                sys.exit(f"Kafka did not answer within {_WITHIN_S:.0f} s: {error}; look at its log")
        time.sleep(0.5)
    for user in users:
        if not (PASSWORDS / user).exists():
            write_private(PASSWORDS / user, secrets.token_urlsafe(32))
    os.execvp("hulpketen", ["hulpketen", "topics", "apply", "--profile", PROFILE, "--passwords", str(PASSWORDS)])  # noqa: S606


def _partners(cluster: Cluster) -> list[str]:
    try:
        return cluster.organisations()
    except DirectoryUnread:
        return []  # at the first start there is none yet; in any other case `apply` says what is wrong


if __name__ == "__main__":
    main()
