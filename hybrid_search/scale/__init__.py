"""One load by several processes of this machine: a leaf over the protocol that processes share a load by."""
