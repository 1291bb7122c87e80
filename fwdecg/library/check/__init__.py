"""Verification of a library from an untrusted source; `verify.check_library` runs every check."""
