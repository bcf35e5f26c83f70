"""What a load will take, from a sample of its source and a probe of encoder and engine; and how far that was off."""
