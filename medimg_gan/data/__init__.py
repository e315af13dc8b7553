"""From a folder of scans to batches: index, labels, split by patient, slice cache, streams."""
