"""How `make lab` starts JupyterLab: it asks nothing of the internet, takes the settings beside this file, shows the notebooks."""

from pathlib import Path

settings = get_config()  # noqa: F821  # JupyterLab gives its configuration files this function
settings.LabApp.app_settings_dir = str(Path(__file__).parent)
settings.LabApp.news_url = None
settings.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
settings.ServerApp.allow_root = (
    True  # containers often have no other user; it serves this machine only, and asks for a token
)
settings.ContentsManager.hide_globs = ["*.py", "__pycache__", "gallery", "lab", "snapshots"]
