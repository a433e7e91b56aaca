"""Whether the service in this container does its work: exit 0 where it answers 200, else 1. Needs no curl.

The argument is the path that is asked for; /readyz if it is left out.
"""

import http.client
import os
import sys


def main() -> None:
    """Ask once."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    asking = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("HTTP_PORT", "8080")), timeout=8)
    try:
        asking.request("GET", path)
        status = asking.getresponse().status
    except OSError:
        status = 0
    sys.exit(0 if status == http.client.OK else 1)


if __name__ == "__main__":
    main()
