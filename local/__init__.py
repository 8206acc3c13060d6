"""The embedded AWS: an emulator on this machine with the real stack deployed into it."""
