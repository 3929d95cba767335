"""What a secret looks like in Kata's logs: finders that return spans of bytes. Pure; linear time, for they run on RE2."""
