"""What an installed e2a brings along."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parents[1]
_BUILD = """
import os, shutil, sys
source, target = sys.argv[1:]
for name in ("e2a", "twisted", "migrations"):
    shutil.copytree(os.path.join(source, name), name, ignore=shutil.ignore_patterns("__pycache__", "*.cache"))
for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "e2a.tac"):
    shutil.copy(os.path.join(source, name), name)
from setuptools import build_meta
print(build_meta.build_wheel(target), build_meta.build_sdist(target), file=sys.stderr)
"""


class Built(TestCase):
    def setUp(self) -> None:
        try:
            import setuptools
        except ImportError:
            self.skipTest("setuptools is not installed")
        if int(setuptools.__version__.partition(".")[0]) < 77:
            self.skipTest("setuptools is older than 77, which the build needs")
        self.here, self.target = Path(self.mktemp()), Path(self.mktemp())
        self.here.mkdir(parents=True)
        self.target.mkdir(parents=True)
        command = [sys.executable, "-c", _BUILD, str(ROOT), str(self.target.resolve())]
        done = subprocess.run(command, cwd=self.here, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_contents(self) -> None:
        """Wheel and source archive hold the package, the twistd plugin and every migration."""
        (wheel,) = self.target.glob("*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
        migrations = {path.name for path in (ROOT / "migrations").glob("*.sql")}
        self.assertTrue(migrations)
        self.assertLessEqual({f"e2a/store/migrations/{name}" for name in migrations}, names)
        self.assertLessEqual({"e2a/py.typed", "e2a/service/tap.py", "twisted/plugins/e2a_plugin.py"}, names)
        self.assertNotIn("twisted/__init__.py", names)
        self.assertNotIn("twisted/plugins/__init__.py", names)
        self.assertFalse([name for name in names if name.startswith("tests")])
        (archive,) = self.target.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            inside = {name.partition("/")[2] for name in tar.getnames()}
        self.assertLessEqual(
            {f"migrations/{name}" for name in migrations} | {"e2a.tac", "twisted/plugins/e2a_plugin.py"}, inside
        )


class Plugin(TestCase):
    def test_found(self) -> None:
        """twistd and twist know the daemon by the name e2a."""
        found = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "e2a"]
        self.assertEqual([maker.module for maker in found], ["e2a.service.tap"])
