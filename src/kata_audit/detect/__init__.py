"""Detection: rules on records become findings, findings become alerts. Pure: rows and values in, rows and values out."""
