"""A Terraform provider with the AWS provider's schema that does nothing.

Terraform starts it for `validate` and for `test`, where `mock_provider` answers in its place. It refuses nothing
that the schema allows: values are AWS's to judge. Its one argument is the file that provider_schema.py's result is in.
"""

import json
import sys
from pathlib import Path

from tf.gen import tfplugin_pb2 as protocol
from tf.runner import run_provider

NESTING = {
    "single": protocol.Schema.NestedBlock.SINGLE,
    "list": protocol.Schema.NestedBlock.LIST,
    "set": protocol.Schema.NestedBlock.SET,
}


def to_block(description):
    return protocol.Schema.Block(
        attributes=[
            protocol.Schema.Attribute(
                name=name,
                type=json.dumps(attribute["type"]).encode(),
                required=attribute["required"],
                optional=attribute["optional"],
                computed=attribute["computed"],
            )
            for name, attribute in description["attributes"].items()
        ],
        block_types=[
            protocol.Schema.NestedBlock(
                type_name=name,
                nesting=NESTING[nested["nesting"]],
                block=to_block(nested["block"]),
                # A single block has no count.
                min_items=0 if nested["nesting"] == "single" else nested["min_items"],
                max_items=0 if nested["nesting"] == "single" else nested["max_items"],
            )
            for name, nested in description["blocks"].items()
        ],
    )


class BlockSchema:
    """A schema in the shape that `tf` asks for."""

    def __init__(self, description):
        self.description = description
        self.attributes = []
        self.block_types = []
        self.version = 0

    def to_pb(self):
        return protocol.Schema(version=0, block=to_block(self.description))


def accepting(name, description):
    """A class for one resource or data source type, which accepts every configuration."""

    class Accepting:
        def __init__(self, provider):
            self.provider = provider

        @classmethod
        def get_name(cls):
            return name

        @classmethod
        def get_schema(cls):
            return BlockSchema(description)

        def validate(self, diags, type_name, config):
            """Everything is accepted: Terraform itself has held it against the schema."""

    return Accepting


class StubProvider:
    def __init__(self, schema):
        self.schema = schema

    def full_name(self):
        return "registry.terraform.io/hashicorp/aws"

    def get_model_prefix(self):
        # Names are whole already.
        return ""

    def get_provider_schema(self, diags):
        return BlockSchema(self.schema["provider"])

    def validate_config(self, diags, config):
        """Everything is accepted."""

    def configure_provider(self, diags, config):
        """Does nothing: there is nothing to configure."""

    def get_resources(self):
        return [accepting(*entry) for entry in self.schema["resources"].items()]

    def get_data_sources(self):
        return [accepting(*entry) for entry in self.schema["data_sources"].items()]

    def get_functions(self):
        return []

    def new_resource(self, klass):
        return klass(self)

    def new_data_source(self, klass):
        return klass(self)


if __name__ == "__main__":
    run_provider(StubProvider(json.loads(Path(sys.argv[1]).read_text())))
