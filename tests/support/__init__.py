"""What several tests need: servers, oracles, generators, and readings of what was drawn or printed."""
