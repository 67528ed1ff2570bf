"""Events, trits and proofs."""
