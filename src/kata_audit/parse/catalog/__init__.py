"""The catalogue: what each known message means, as data; and the matcher that finds a message's entry."""
