"""Sphinx builds these pages; `make docs` does it with every warning as an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "_extensions"))
for folder in ("", "surrogates", "integrations", "dashboard"):
    sys.path.insert(0, str(ROOT / folder))

from tunekit import __version__  # noqa: E402 - found on the path above

project = "tunekit"
author = "the tunekit authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "error_catalogue",
    "part_table",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_extensions"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A single backtick in a docstring is code, as in Markdown.
default_role = "code"
autodoc_typehints = "description"  # beside the words of `Args:`; the signature stays short
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "tunekit"
html_static_path = ["_static"]
html_css_files = ["tunekit.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": [],
    "footer_end": [],
}
