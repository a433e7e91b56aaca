"""What intake tells of itself."""

from __future__ import annotations

from prometheus_client import Counter

delivery_lines = Counter(
    "hulpketen_intake_delivery_lines", "Lines of deliveries; outcome: taken or refused.", ["outcome"]
)
messages = Counter(
    "hulpketen_intake_messages", "Messages for the gateway; outcome: sent, refused or away.", ["outcome"]
)
# From 0 on, so that the first failure is a rise.
for _outcome in ("taken", "refused"):
    delivery_lines.labels(_outcome)
for _outcome in ("sent", "refused", "away"):
    messages.labels(_outcome)
