"""One file per producer grammar, and the registry that knows them all."""
