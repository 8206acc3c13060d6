"""Measurements of the deployed stack; none of them decides whether it is right."""
