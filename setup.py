"""Packs what lives beside the package: ``migrations/`` travels inside ``e2a/store``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MIGRATIONS = sorted(str(path) for path in Path("migrations").glob("*.sql"))


class BuildWithMigrations(build_py):
    """Copies the migrations into the wheel; an editable install reads them from the checkout."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "e2a", "store", "migrations")
            target.mkdir(parents=True, exist_ok=True)
            for name in MIGRATIONS:
                self.copy_file(name, str(target / Path(name).name))

    def get_source_files(self):
        return [*super().get_source_files(), *MIGRATIONS, "e2a.tac"]


setup(cmdclass={"build_py": BuildWithMigrations})
