"""The rules that are shipped, Sigma files by area, and samples of each: data of the package."""
