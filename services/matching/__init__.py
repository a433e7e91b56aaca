"""Matching: the case of a person, the directory of help, proposals and referrals."""
