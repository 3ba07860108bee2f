"""A stand-in for Google: the metadata server of a cloud host, and Secret Manager."""
