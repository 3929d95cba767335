"""What goes out: one file for each kind of destination. Positions, retries and order are `pipeline/deliver.py`'s."""
