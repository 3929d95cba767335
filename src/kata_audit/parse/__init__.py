"""From bytes to records: split, mask, dialects in waves, link. Pure: rows in, rows out, nothing dropped (L1, L2)."""
