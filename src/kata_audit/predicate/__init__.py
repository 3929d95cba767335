"""The one typed condition tree: the search language becomes it; rows and SQL are asked with it."""
