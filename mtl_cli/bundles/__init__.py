"""What mtl-export writes, read without torch: the manifest, its hashes, and preprocessing as data."""
