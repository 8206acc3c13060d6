"""The operator tool: reads the ledger, the queues and the configuration; ships to no function."""
