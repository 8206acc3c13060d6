"""What the functions do, told in terms of ports."""
