"""Voltage maps of any source: files, conversion to the format of a training, quality."""
