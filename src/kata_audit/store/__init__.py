"""Evidence on disk: spool, segments under a signed log, index, reader, and the auditor of all that."""
