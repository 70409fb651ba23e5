"""Finds an AWS provider that is installed on this machine, where Terraform or its administrators put providers."""

import platform
from pathlib import Path

# The folders that Terraform itself looks into, and one that images of build machines use. See
# https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
MIRRORS = (
    Path.home() / ".terraform.d/plugins",
    Path.home() / ".local/share/terraform/plugins",
    Path("/usr/local/share/terraform/plugins"),
    Path("/usr/share/terraform/plugins"),
    Path("/opt/tf-plugins"),
)
# The oldest version that the modules are for.
OLDEST = (5, 100)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def installed_provider():
    """The newest version that the modules are for, with the folder of its program; None if there is none."""
    target = f"{platform.system().lower()}_{ARCHITECTURES.get(platform.machine(), platform.machine())}"
    found = []
    for mirror in MIRRORS:
        for folder in mirror.glob(f"registry.terraform.io/hashicorp/aws/*/{target}"):
            version = folder.parent.name
            numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
            if numbers >= OLDEST and any(folder.glob("terraform-provider-aws*")):
                found.append((numbers, version, folder))
    return max(found)[1:] if found else None
