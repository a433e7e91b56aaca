"""Who may read what of the audit: one table. The routes take from it what they need; a test walks it, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Reader = Literal[
    "anonymous", "resident", "sender", "partner", "professional", "coordinator", "operations", "auditor", "any token"
]
Door = Literal["open", "token", "session", "resident"]
"""By what one comes in: nothing, a bearer token, the session of the auditor's page, that of a resident."""

EMPLOYEES: frozenset[Reader] = frozenset({"sender", "partner", "professional", "coordinator", "operations", "auditor"})
EVERYBODY: frozenset[Reader] = EMPLOYEES | {"anonymous", "resident", "any token"}


class Rule(NamedTuple):
    """Something of the audit. Who has one of `scopes` may have it by a token or session, and no `readers` but these do.

    Where there are no scopes any token or session will do. `any token` is a token without a scope. `routes`: by which
    it is had, each as the method and the path.
    """

    what: str
    door: Door
    scopes: tuple[str, ...]
    readers: frozenset[Reader]
    routes: tuple[str, ...]


_AUDITOR: frozenset[Reader] = frozenset({"auditor"})

TABLE: Mapping[str, Rule] = {
    "hashes": Rule(
        "The signed checkpoint, its keys, tiles of hashes and proofs between hashes: nothing of a person is in them.",
        "token",
        ("trail:read",),
        EMPLOYEES,
        (
            "GET /v1/trail/checkpoint",
            "GET /v1/trail/cosigned-checkpoint",
            "GET /v1/trail/keys",
            "GET /v1/trail/tile/{level}/{place:path}",
            "GET /v1/trail/consistency-proofs",
            "GET /v1/trail/inclusion-proofs",
        ),
    ),
    "vouching": Rule(
        "The key with which one's own organisation vouches, and what it vouches for.",
        "token",
        ("trail:vouch",),
        frozenset({"sender", "partner", "coordinator"}),
        ("PUT /v1/trail/witness-key", "POST /v1/trail/cosignatures"),
    ),
    "witnesses": Rule(
        "Which organisation vouches for how much.",
        "token",
        ("operations", "audit:read"),
        frozenset({"operations", "auditor"}),
        ("GET /v1/trail/witnesses",),
    ),
    "entries": Rule(
        "Entries: bundles, the proof of one event, search, one entry, export; with them who of the staff looked.",
        "token",
        ("audit:read",),
        _AUDITOR,
        (
            "GET /v1/trail/tile/entries/{place:path}",
            "GET /v1/trail/proofs/{event}",
            "GET /v1/trail/period",
            "GET /v1/entries",
            "GET /v1/entries/export",
            "GET /v1/entries/{index}",
        ),
    ),
    "unusual access": Rule(
        "What the rules find in who of the staff looked at whom.",
        "token",
        ("audit:read",),
        _AUDITOR,
        ("GET /v1/unusual-access",),
    ),
    "auditor's page": Rule(
        "The same as pages.",
        "session",
        ("audit:read",),
        _AUDITOR,
        ("GET /", "GET /unusual-access", "GET /page/audit.css"),
    ),
    "processing log": Rule(
        "Lines of the processing log, with subjects encrypted for the organisation that reads.",
        "token",
        ("processing-log:read",),
        _AUDITOR,
        ("POST /lezenapi/v1/processing-activities",),
    ),
    "register": Rule(
        "The register of processing activities.",
        "token",
        (),
        EMPLOYEES | {"any token"},
        ("GET /v1/processing-activities",),
    ),
    "resident's code": Rule(
        "A code that lets the resident of a case of the own municipality in.",
        "token",
        ("persons:write",),
        frozenset({"professional", "coordinator"}),
        ("POST /v1/resident-codes",),
    ),
    "own data": Rule(
        "What was done with one's own data. Who is not a resident with a session gets the form for a code instead.",
        "resident",
        (),
        frozenset({"resident"}),
        ("GET /my-data",),
    ),
    "doors": Rule(
        "Signing in and out, and the style of the residents' page: nothing of the audit is in them.",
        "open",
        (),
        EVERYBODY,
        (
            "POST /my-data/sign-in",
            "POST /my-data/sign-out",
            "GET /my-data/resident.css",
            "GET /login",
            "GET /callback",
            "POST /logout",
            "GET /signed-out",
        ),
    ),
}
