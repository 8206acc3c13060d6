"""The ports on AWS: the only modules that call it."""
