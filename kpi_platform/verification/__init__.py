"""The order law, proved on a user's own lake: rebuild from the files beside it and compare."""
