"""What matching tells of itself."""

from __future__ import annotations

from prometheus_client import Gauge

services = Gauge("hulpketen_matching_services", "Services of help in the directory that this process has.")
