"""The frame grammars of transports: where one record ends and the next begins."""
