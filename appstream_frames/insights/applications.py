"""The application catalogue: which applications are in which images, and which names have several variants."""

from __future__ import annotations

import pandas as pd

from appstream_frames.tables.frames import Frames, check_frames

#: Applications that differ in one of these are different variants.
_VARIANT = ["name", "launch_path", "launch_parameters", "working_directory"]


def application_versions(frames: Frames) -> pd.DataFrame:
    """List each application with the images that hold it: a row per name, path, parameters and working directory.

    Parameters
    ----------
    frames : Frames
        Of one snapshot; ``frames.own`` leaves out AWS's public images. An image that several accounts see counts once.

    Returns
    -------
    pandas.DataFrame
        Columns ``name``, ``launch_path``, ``launch_parameters``, ``working_directory`` (as AWS sent them), ``display_name`` (of
        the first image by name), ``images`` (how many hold it), ``image_names`` (a sorted tuple), ``variants`` (the number of
        rows with this name) and ``differs`` (true if more than one). Ordered by name, the variant in most images first.

    Raises
    ------
    RequestError
        When `frames` is not Frames.

    Examples
    --------
    >>> import appstream_frames as asf
    >>> with asf.sandbox() as sandbox:
    ...     versions = application_versions(asf.drain(sandbox.client()).own)
    >>> versions.loc[versions["name"] == "Firefox", ["images", "variants", "differs"]].values.tolist()
    [[45, 1, False]]
    """
    table = check_frames(frames).applications
    named = table["account"].str.cat([table["region"], table["image_name"]], sep="/", na_rep="")
    rows = table[[*_VARIANT, "display_name", "image_name"]].assign(image=table["image_arn"].fillna(named))
    rows = rows.sort_values(["image_name", "image", "display_name"]).drop_duplicates([*_VARIANT, "image"])
    found = rows.groupby(_VARIANT, dropna=False, as_index=False).agg(
        display_name=("display_name", "first"),
        images=("image", "size"),
        image_names=("image_name", lambda names: tuple(names.dropna())),
    )
    variants = found.groupby("name", dropna=False)["images"].transform("size")
    found = found.assign(variants=variants, differs=variants > 1)
    found = found.astype({"images": "Int64", "image_names": object, "variants": "Int64", "differs": "boolean"})
    order = ["name", "images", *_VARIANT[1:]]
    return found.sort_values(order, ascending=[True, False, True, True, True], ignore_index=True)
