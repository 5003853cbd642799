"""Console and stream feeds: files of platforms to raw rows, and the figures of a game's stream."""
