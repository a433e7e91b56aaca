"""What the audit tells of itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

entries = Counter("hulpketen_audit_entries", "Entries added to the trail by this process.")
lag = Gauge(
    "hulpketen_audit_lag_seconds",
    "Age of the event that the trail was adding now, by this process; 0 where nothing waits.",
)
writing = Gauge("hulpketen_audit_writing", "1 in the process that adds to the trail, 0 where it stands by.")
signed = Gauge("hulpketen_audit_signed_entries", "Entries that the last checkpoint of this process is over.")
signing_stopped = Gauge(
    "hulpketen_audit_signing_stopped",
    "1 where the entries are not those that were signed before, and nothing is signed until somebody looked at it.",
)
unsigned = Gauge("hulpketen_audit_unsigned_entries", "Entries that no checkpoint is over yet.")
unsigned_seconds = Gauge(
    "hulpketen_audit_unsigned_seconds", "Age of the last checkpoint where entries wait for the next; 0 where none does."
)
checkpoint_age = Gauge("hulpketen_audit_checkpoint_age_seconds", "Age of the last checkpoint.")
announced = Gauge("hulpketen_audit_announced_entries", "Entries of the newest checkpoint that partners are told of.")
place_failures = Counter(
    "hulpketen_audit_place_failures", "Times that the second place of the trail could not be read or written."
)
witnesses = Gauge("hulpketen_audit_witnesses", "Organisations that have a key to vouch for the trail with.")
witnesses_behind = Gauge(
    "hulpketen_audit_witnesses_behind", "Those of them that have not vouched for a day, though the trail grew."
)
cosigned = Gauge("hulpketen_audit_cosigned_entries", "Entries of the largest tree that an organisation vouches for.")
altered = Counter(
    "hulpketen_audit_contents_altered", "Times that a content was asked for which is not what was sealed for its entry."
)
forks = Counter(
    "hulpketen_audit_forks", "Checkpoints that partners sent which are signed by this log and have another root."
)
