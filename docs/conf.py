"""Sphinx configuration: everything is built offline, and every warning is an error under ``tox run -e docs``."""

import os

# Networks as small as the examples' lose time to threads that wait for one another. Must be set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import skagile

project = "skagile"
author = "skagile developers"
copyright = "skagile developers, BSD 3-Clause"
version = release = skagile.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "literal"

# Links to scikit-learn and NumPy need their object lists from the network, so they are only made when asked for.
if os.environ.get("SKAGILE_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say types and shapes
numpydoc_show_class_members = False  # the templates list the methods that are worth a page

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "within_subsection_order": "FileNameSortKey",
    "filename_pattern": r"[\\/]plot_",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skagile",),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "parallel": 2,  # examples at a time
}

html_theme = "pydata_sphinx_theme"
html_title = "skagile"
html_static_path = ["_static"]
html_css_files = ["skagile.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skagile"},
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": False,
    # The examples' code needs the room.
    "secondary_sidebar_items": {page: ["page-toc"] for page in ("user_guide/**", "generated/**", "studies/**", "api")},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "changelog": [], "api": []}
