"""One pure file for each protocol, with encode and decode: what sends and what receives shares it."""
