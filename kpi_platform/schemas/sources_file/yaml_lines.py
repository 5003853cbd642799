"""YAML whose mistakes can be found: duplicate names refused, every field's line known.

Belongs here: reading YAML text, the line of a path in it, and where a model's content is wrong.
Does not: what the content means.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Times stay text: what is wrong with one is then said of its field."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_UNKNOWN = "extra_forbidden"
_WORDS = {
    _UNKNOWN: "there is no such field",
    "missing": "is missing",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must have fields, `name: value`",
    "model_type": "must have fields, `name: value`",
    "string_type": "must be a text",
    "string_too_short": "must not be blank",
    "too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
}
# What a parser quotes of the text may be a secret in the wrong place; single signs tell enough.
_NAMED = re.compile(r"'[^']{2,}'|\"[^\"]{2,}\"")


class YamlError(ValueError):
    """The text is no usable YAML; `line` counts from 1."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.line = line


def plain_words(kind: str, message: str) -> str:
    """A mistake of pydantic in the words of whoever raised it, or of who writes files."""
    said = _WORDS.get(kind) or message.removeprefix("Value error, ")
    return said.replace("Input should be", "must be")


def parse(
    model: type[Model], text: str, name: str, say: Callable[[str, str], str] = plain_words
) -> Model:
    """The content of a YAML file called `name`; an empty file has no fields.

    Raises YamlError whose words name file, line, and the field where the content is wrong: `say`
    words a mistake of a kind of pydantic's.
    """
    try:
        data, tree = load(text)
    except YamlError as error:
        raise YamlError(f"{_place(name, error.line)}: {error}", error.line) from None
    try:
        return model.model_validate(data if data is not None else {})
    except ValidationError as error:
        # A field that is missing may be the one whose name is mistyped.
        first = min(error.errors(), key=lambda each: each["type"] != _UNKNOWN)
        field, line = _field(first["loc"]), line_of(tree, first["loc"])
        said = say(first["type"], first["msg"])
        lacking = [_field(e["loc"]) for e in error.errors() if e["type"] == "missing"]
        if first["type"] == _UNKNOWN and lacking:
            said += f"; {', '.join(lacking)}: missing"
        raise YamlError(f"{_place(name, line)}: {field}: {said}", line) from None


def _field(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path) or "file"


def _place(name: str, line: int | None) -> str:
    return f"{name} line {line}" if line else name


def load(text: str) -> tuple[object, yaml.Node | None]:
    """Return the data of one YAML document and its tree. Raises YamlError."""
    loader = None
    try:
        loader = _Loader(text)
        tree = loader.get_single_node()
        _refuse_duplicates(tree)
        data = None if tree is None else loader.construct_document(tree)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = _NAMED.sub("...", getattr(error, "problem", None) or "is not YAML")
        raise YamlError(problem, mark.line + 1 if mark else None) from None
    except YamlError:
        raise
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or nesting that no one wrote by hand.
        raise YamlError(str(error).splitlines()[0], None) from None
    finally:
        if loader is not None:
            loader.dispose()
    return data, tree


def line_of(tree: yaml.Node | None, path: Sequence[str | int]) -> int | None:
    """The line of the field at `path`, or of the innermost part of the path that is there.

    Parts that the text does not have, such as the name of a variant, are passed over.
    """
    node, line = tree, None
    for part in path:
        step = _step(node, part)
        if step is not None:
            line, node = step
    return line if line is not None else (tree.start_mark.line + 1 if tree else None)


def _step(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        # What a mapping takes over from another comes before what it says itself.
        for key, value in reversed(node.value):
            if key.value == str(part):
                return key.start_mark.line + 1, value
    return None


def _refuse_duplicates(tree: yaml.Node | None) -> None:
    """YAML lets the last of two equal names win without a word: a mapping would vanish."""
    todo = [tree] if tree is not None else []
    looked_at: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in looked_at:  # An alias, which may even lead back to itself.
            continue
        looked_at.add(id(node))
        if isinstance(node, yaml.MappingNode):
            names = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            _refuse_twice(names)
            todo += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value


def _refuse_twice(names: Sequence[yaml.ScalarNode]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.value in seen:
            raise YamlError(f"{name.value} is given twice", name.start_mark.line + 1)
        seen.add(name.value)
