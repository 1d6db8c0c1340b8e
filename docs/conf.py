"""The site: ``python -m sphinx -W --keep-going -n -j 2 docs build/site`` from the root of the checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extension"))

import archimedes_grad

project = "archimedes_grad"
author = "The archimedes_grad developers"
copyright = "The archimedes_grad developers"
version = release = archimedes_grad.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "myst_parser", "sphinx_design", "numpydoc", "executed_pages"]
exclude_patterns = ["extension", "examples", "_static"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

nitpicky = True
# Reference pages name what they hold; nothing is generated beside them.
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_member_order = "bysource"
# The docstrings say what arguments are, in words and shapes.
autodoc_typehints = "none"
add_module_names = False

#: Pages whose tables and long lines of code take the place of the list of headings.
docs = Path(__file__).parent
wide_pages = ["numpy", "benchmarks"]
wide_pages += [f"{folder}/{path.stem}" for folder in ("gallery", "coming-from") for path in docs.glob(f"{folder}/*.md")]

html_theme = "pydata_sphinx_theme"
html_title = "archimedes_grad"
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": [],
    "footer_end": [],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": {"**": ["page-toc"], **{page: [] for page in wide_pages}},
}
# Pages of their own have no section to go round in.
html_sidebars = {"why": [], "quickstart": []}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_copyright = False
