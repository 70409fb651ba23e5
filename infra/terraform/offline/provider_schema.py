"""Reads the AWS provider's schema from the package that CDK for Terraform publishes.

The package holds one generated class per resource type. Each class has the names and types of its attributes and
blocks in a table (`synthesizeHclAttributes`, `...ToHclTerraform`), which of them are required in its declarations,
and which are only ever read in a comment beside the getter. That is all that `validate` and `test` with a mocked
provider look at.

The package does not contain which optional attributes the provider fills in when they are left out. Those that
every resource type has are named in `FILLED_IN`.
"""

import io
import re
import tarfile
import zipfile

# Optional attributes that the provider fills in: without this, a module could not refer to them.
FILLED_IN = {"id", "region", "tags_all"}

SIMPLE_TYPES = {"string": "string", "number": "number", "boolean": "bool"}

TABLE_ENTRY = re.compile(
    r'"?(?P<name>\w+)"?: \{\s+value: (?P<value>[^\n]+),\s+isBlock: (?P<block>true|false),\s+'
    r'type: "(?P<kind>\w+)",\s+storageClassType: "(?P<storage>\w+)",?\s+\}'
)
NESTED_TABLE = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.M | re.S)
OWN_TABLE = re.compile(r"^    synthesizeHclAttributes\(\) \{(.*?)^    \}", re.M | re.S)
CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{(.*?)^\}", re.M | re.S)
READ_ONLY = re.compile(
    r"// (?P<name>\w+) - computed: true, optional: false, required: false\s+get \w+\(\) \{\s+"
    r"return (?:cdktf\.Fn\.tolist\()?this\.get(?P<type>\w+?)Attribute\("
)
READ_ONLY_TYPES = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
}
INTERFACE = re.compile(r"^export interface (\w+)[^\n]*\{(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"readonly (\w+)(\??):")
BLOCK_MAPPER = re.compile(r"(?<![.\w])(\w+)ToHclTerraform")
PROPERTY = re.compile(r"(?:struct\.|this\._)(\w+)")


class SchemaError(Exception):
    """The package does not have the shape this reader knows."""


def read_schema(wheel, resource_types, data_types):
    """The schemas of the named types (`aws_sqs_queue`, ...) and of the provider itself, ready to be written as JSON.

    A type that the provider does not have is left out; Terraform then says so, with the place it is used at.
    """
    sources = _sources(
        wheel,
        {f"lib/{_folder(name)}/" for name in resource_types}
        | {f"lib/data-aws-{_folder(name)}/" for name in data_types}
        | {"lib/provider/"},
    )
    return {
        "provider": _block_of(sources, "provider"),
        "resources": _blocks_of(sources, resource_types, ""),
        "data_sources": _blocks_of(sources, data_types, "data-aws-"),
    }


def _folder(type_name):
    return type_name.removeprefix("aws_").replace("_", "-")


def _blocks_of(sources, type_names, prefix):
    folders = {name: prefix + _folder(name) for name in sorted(type_names)}
    return {name: _block_of(sources, folder) for name, folder in folders.items() if (folder, "index.js") in sources}


def _sources(wheel, wanted):
    """The generated files below the wanted folders, by folder and file name."""
    with zipfile.ZipFile(wheel) as package:
        inner = next((name for name in package.namelist() if name.endswith(".jsii.tgz")), None)
        if inner is None:
            raise SchemaError(f"{wheel} holds no jsii package")
        content = package.read(inner)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            path = member.name.removeprefix("package/")
            folder, _, file = path.rpartition("/")
            if folder + "/" in wanted and file in ("index.js", "index.d.ts"):
                found[folder.removeprefix("lib/"), file] = archive.extractfile(member).read().decode()
    return found


def _block_of(sources, folder):
    code, declarations = sources[folder, "index.js"], sources[folder, "index.d.ts"]
    tables = dict(NESTED_TABLE.findall(code))
    own = OWN_TABLE.search(code)
    if own is None:
        raise SchemaError(f"{folder} has no table of attributes")
    required = {name: _required(body) for name, body in INTERFACE.findall(declarations)}
    main = next(name for name, base, _ in CLASS.findall(code) if base.startswith("Terraform"))
    read_only = {name: _read_only(body) for name, _, body in CLASS.findall(code)}

    def block(table, interface, owner):
        attributes, blocks = dict(read_only.get(owner, {})), {}
        for entry in TABLE_ENTRY.finditer(table):
            name = entry["name"]
            needed = PROPERTY.search(entry["value"])[1] in required[interface]
            if entry["block"] == "true":
                nested = BLOCK_MAPPER.search(entry["value"])[1]
                inner = nested[0].upper() + nested[1:]
                blocks[name] = {
                    "nesting": "single" if entry["kind"] == "struct" else entry["kind"],
                    "min_items": int(needed),
                    "max_items": 0 if "listMapperHcl" in entry["value"] else 1,
                    "block": block(tables[nested], inner, inner + "OutputReference"),
                }
            else:
                attributes[name] = {
                    "type": _type(entry["kind"], entry["storage"]),
                    "required": needed,
                    "optional": not needed,
                    "computed": name in FILLED_IN and not needed,
                }
        return {"attributes": attributes, "blocks": blocks}

    return block(own[1], main + "Config", main)


def _required(interface_body):
    return {name for name, optional in FIELD.findall(interface_body) if not optional}


def _read_only(class_body):
    return {
        found["name"]: {
            "type": READ_ONLY_TYPES[found["type"]],
            "required": False,
            "optional": False,
            "computed": True,
        }
        for found in READ_ONLY.finditer(class_body)
        if found["type"] in READ_ONLY_TYPES
    }


def _type(kind, storage):
    if kind == "simple":
        return SIMPLE_TYPES[storage]
    element = storage.removesuffix("List").removesuffix("Map")
    if kind not in ("list", "set", "map") or element not in SIMPLE_TYPES:
        raise SchemaError(f"unknown type {kind} of {storage}")
    return [kind, SIMPLE_TYPES[element]]
