"""What may be believed: verdicts, signatures, keys, sealed secrets."""
