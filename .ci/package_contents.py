"""What the built packages must hold: arguments are the checkout, the wheel and the unpacked sdist."""

import re
import sys
import zipfile
from pathlib import Path

checkout, wheel, sdist = map(Path, sys.argv[1:])
modules = {str(file.relative_to(checkout)) for file in (checkout / "archimedes_grad").rglob("*.py")}
version = re.search(r'"(.+)"', (checkout / "archimedes_grad/_version.py").read_text().splitlines()[-1])[1]

with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
    metadata = archive.read(f"archimedes_grad-{version}.dist-info/METADATA").decode()
inside = {name for name in names if name.startswith("archimedes_grad/")}
assert inside == modules | {"archimedes_grad/py.typed"}, inside ^ modules
assert f"archimedes_grad-{version}.dist-info/licenses/LICENSE" in names
assert f"\nVersion: {version}\n" in metadata
assert "\nLicense-Expression: MIT\n" in metadata

for name in ("README.md", "LICENSE", "CITATION.cff", "pyproject.toml", "tests/conftest.py", "docs/conventions.md"):
    assert (sdist / name).is_file(), f"the sdist lacks {name}"
assert modules <= {str(file.relative_to(sdist)) for file in (sdist / "archimedes_grad").rglob("*.py")}
print(f"wheel and sdist of {version}: {len(modules)} modules, typed, with licence")
