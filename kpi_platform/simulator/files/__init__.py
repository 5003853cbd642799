"""What is sent, as lines of files, with all that goes wrong on the way."""
