"""Translates the SAM template into the CloudFormation template that AWS creates from it at deployment.

    python infra/sam/translate.py OUTPUT.json

For checks only: the code is said to be in a bucket, as `sam package` would have put it there.
"""

import json
import os
import sys
from pathlib import Path

# The translator asks for a region before it is asked for anything.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The translator looks AWS's own policies up by name; the template names none."""

    def load(self):
        return {}


def main():
    template = yaml_parse(Path(__file__).with_name("template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "key"}
    Path(sys.argv[1]).write_text(json.dumps(transform(template, {}, NoManagedPolicies()), indent=2))


if __name__ == "__main__":
    main()
