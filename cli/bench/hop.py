"""One hop of the bare chain: python -m cli.bench.hop HOP KAFKA MONGO GROUP."""

import asyncio
import sys

from cli.bench.bare import HOPS

hop, *where = sys.argv[1:]
asyncio.run(HOPS[hop](*where))
