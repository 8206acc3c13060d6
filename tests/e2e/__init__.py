"""The real template, deployed into an embedded AWS."""
