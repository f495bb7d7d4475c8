"""``python -m appstream_frames`` is the command ``appstream-frames``."""

from appstream_frames.cli.main import main

main(prog_name="appstream-frames")
