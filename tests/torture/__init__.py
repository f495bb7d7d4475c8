"""The promises of storage and of the drain, at length; the suite runs shorter versions of the same functions."""
