"""Where an archive lies: a folder or a bucket; files that appear whole or not at all; Parquet inside."""
