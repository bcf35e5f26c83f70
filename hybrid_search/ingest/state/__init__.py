"""What a load remembers: on this machine and in the cluster."""
