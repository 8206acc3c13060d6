"""The protocol, broken one rule at a time: for every rule a test must fail. See ``make mutants``."""
