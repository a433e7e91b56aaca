"""The benchmark `audit`: entries that the audit alone adds to its trail and signs, and what a proof costs then."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from hulpketen_contracts import Message
from hulpketen_contracts.trail.tree import check_inclusion, leaf_hash
from pydantic import SecretStr

from cli.bench.chain import Say
from cli.bench.records import case_records, look_record, signal_record
from deploy.local.stack import LocalStack
from services.audit.checkpoints import CheckpointStore
from services.audit.contents import SubjectKeys
from services.audit.domain.leaves import leaf_of
from services.audit.events import Writer
from services.audit.main import SIGN_EVERY_S
from services.audit.place import Place
from services.audit.reading import TrailReader
from services.audit.signing import Signer
from services.audit.signing_key import LogKey
from services.audit.store import SCHEMA, TrailStore
from services.chassis.keys import FileKeyProvider
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.indexes import make_all
from services.chassis.pipeline.model import DeadLetter, Record
from services.chassis.service import now
from services.chassis.settings import MongoSettings
from services.chassis.web import spare_collector

BATCH = 4_000
"""What the service takes at once."""
PART = 100_000
_CHECKPOINT_ENTRIES = 10_000
_PROOFS = 200
_CACHE_MB = 4_096
"""A laptop's 48 MB would not hold a million entries and their indexes: MongoDB takes half of a server's memory."""
_POOL = 50


class Held:
    """The lease of a writer that is alone."""

    fence: int | None = 1

    async def held(self) -> bool:
        return True


async def measure(entries: int, say: Say) -> dict[str, Any]:
    """{"entriesPerS": x, "entriesPerSAt1M": x, "inclusionProofMsAt1M": x}; with fewer entries, at that number.

    A rate is over the first and over the last PART of them (a tenth, with fewer than that), from the first record until
    a checkpoint is over the last of them. Of the records one in four is about a person who was not known before.
    """
    spare_collector()  # as the service does
    part = min(PART, max(BATCH, entries // 10))
    async with AsyncExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="hulpketen-bench-")))
        stack = await cleanup.enter_async_context(LocalStack(folder / "stack", run=(), database_cache_mb=_CACHE_MB))
        client = connect(MongoSettings(uri=SecretStr(stack.addresses["mongo"]), database="bench"))
        cleanup.callback(client.close)
        audit = Audit(client["bench"], folder)
        await make_all(audit.database, SCHEMA.indexes)
        rates = []
        records = made_up_records()
        for start in range(0, entries, part):
            rates.append(await audit.add(islice(records, min(part, entries - start))))
            say(f"{start + part:,} entries: {rates[-1]:,.0f}/s")
        proof_ms = await audit.proof_ms()
    return {
        "entriesPerS": round(rates[0]),
        "entriesPerSAt1M": round(rates[-1]),
        "inclusionProofMsAt1M": round(proof_ms, 3),
        "entries": entries,
    }


class Audit:
    """The writer and the signer of the audit, as the service has them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        keys, place = FileKeyProvider(folder / "keys.json"), Place(folder / "place", 1)
        store, checkpoints = TrailStore(database), CheckpointStore(database)
        signer = LogKey(keys, "bench.example/audit", 1), Held(), _nothing
        self._signer = Signer(checkpoints, place, *signer, clock=now, every=(_CHECKPOINT_ENTRIES, timedelta(0)))
        subjects = SubjectKeys(store, keys, now, 7)
        self._writer = Writer(store, Held(), _nowhere, subjects, clock=now, added=self._signer.fresh.put)
        self._checkpoints = checkpoints
        self._reader = TrailReader(checkpoints, place)

    async def add(self, records: Iterator[Record]) -> float:
        """Entries a second, signed."""
        began, added = perf_counter(), 0
        async with asyncio.TaskGroup() as beside:
            signing = beside.create_task(self._signer.step())
            signed = began
            while batch := list(islice(records, BATCH)):
                await self._writer.handle(batch)
                added += len(batch)
                if signing.done() and perf_counter() > signed + SIGN_EVERY_S:
                    signing, signed = beside.create_task(self._signer.step()), perf_counter()
        await self._signer.step()
        return added / (perf_counter() - began)

    async def proof_ms(self) -> float:
        """Milliseconds from a question for an entry's proof to the proof; the median of _PROOFS entries."""
        last = await self._reader.newest()
        times = []
        for index in random.sample(range(last.size), min(_PROOFS, last.size)):
            began = perf_counter()
            proof = await self._reader.inclusion(index, last.size)
            times.append((perf_counter() - began) * 1_000)
            (entry,) = await self._checkpoints.leaves(index, 1)
            check_inclusion(last.size, last.root, index, leaf_hash(leaf_of(entry)), proof)
        return median(times)


def made_up_records() -> Iterator[Record]:
    """Of each person a signal, a case, what is proposed and a look, a few persons at a time."""
    shapes = [_Shape(message) for message in (signal_record(sampled=False), *case_records(), look_record())]
    while True:
        people = [(_id(), _id()) for _ in range(_POOL)]
        for shape in shapes:
            at = now().isoformat(timespec="milliseconds").encode()
            yield from (shape.record(*each, at) for each in people)


class _Shape:
    """A message of which others are made, about other people."""

    def __init__(self, message: Message) -> None:
        self._message = message
        data = json.loads(message.value)
        self._person, self._case = (data.get("person") or data["subject"]).encode(), data.get("case", "\0").encode()

    def record(self, person: bytes, case: bytes, at: bytes) -> Record:
        headers = dict(self._message.headers) | {"ce_id": _id(), "ce_time": at}
        headers["traceparent"] = b"00-%b-%b-00" % (case.replace(b"-", b""), person[:8] * 2)
        value = self._message.value.replace(self._person, person).replace(self._case, case)
        return Record(self._message.topic, 0, 0, person, value, tuple(headers.items()))


def _id() -> bytes:
    """As a UUID is written, at a fifth of what one costs."""
    digits = random.randbytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}".encode()


async def _nowhere(letters: Sequence[DeadLetter]) -> None:
    raise AssertionError(letters)


async def _nothing() -> None:
    return None
