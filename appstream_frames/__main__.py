"""``python -m appstream_frames`` is the command ``appstream-frames``."""

from appstream_frames.cli import main

main(prog_name="appstream-frames")
