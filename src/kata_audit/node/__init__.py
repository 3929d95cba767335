"""What a node is set up to log: its runtime classes, their real configuration, and what follows for an auditor."""
