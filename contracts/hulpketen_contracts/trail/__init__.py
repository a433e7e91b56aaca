"""The trail's formats, and how anybody checks them without trusting who keeps the trail: see `docs/trail.md`.

Needs `cryptography` beside the rest of this package: `pip install "hulpketen-contracts[trail]"`. `tree`, `tiles` and
`leaf` need nothing. The formats are RFC 6962 (tree), and of C2SP: `tlog-tiles`, `signed-note`, `tlog-checkpoint`,
`tlog-cosignature` and `tlog-proof` (https://c2sp.org).
"""
