"""The transparency log's mathematics: Merkle tree, notes, checkpoints, tiles, proofs. Bytes in, bytes out."""
