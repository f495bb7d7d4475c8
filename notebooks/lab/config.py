"""How `make lab` starts JupyterLab: it asks nothing of the internet, and takes the settings beside this file."""

from pathlib import Path

lab = get_config().LabApp  # noqa: F821  # JupyterLab gives its configuration files this function
lab.app_settings_dir = str(Path(__file__).parent)
lab.news_url = None
lab.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
