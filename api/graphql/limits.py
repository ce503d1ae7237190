"""What a query may cost, decided before any of it runs.

Everything is counted as it would be answered: fragments where they are spread, `first` as given, a
list of no given length as `ASSUMED_LENGTH`. The numbers are published in the API's description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    Lexer,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    VariableNode,
    parse,
)

from api.graphql.refusals import refusal

# Characters of the query: a tenth of it already says more than any page of ours asks.
MAX_QUERY_CHARS: Final = 20_000
MAX_TOKENS: Final = 2_000
# Brackets within brackets, before anything recurses over them.
MAX_NESTING: Final = 30
# Validation compares the fields of a selection in pairs.
MAX_FIELDS: Final = 300
MAX_DIRECTIVES: Final = 20
MAX_FRAGMENTS: Final = 20
MAX_OPERATIONS: Final = 5
# As answered, with fragments where they are spread.
MAX_DEPTH: Final = 10
MAX_ALIASES: Final = 30
MAX_ROOT_FIELDS: Final = 10
MAX_SELECTIONS: Final = 1_000
# Fields of the fullest answer; all of them together hold the server up for about 25 ms.
MAX_COST: Final = 5_000
ASSUMED_LENGTH: Final = 10
PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 50
MAX_REPRESENTATIONS: Final = 50
# Of the schema itself: deep as tools ask for it, and once.
MAX_INTROSPECTION_DEPTH: Final = 20
INTROSPECTION_COST: Final = 1_000

LIMITS: Final[dict[str, tuple[int, str]]] = {
    "QUERY_TOO_LONG": (MAX_QUERY_CHARS, "characters of the query"),
    "TOO_MANY_TOKENS": (MAX_TOKENS, "tokens of the query"),
    "NESTED_TOO_DEEPLY": (MAX_NESTING, "brackets within brackets"),
    "TOO_MANY_FIELDS": (MAX_FIELDS, "fields written in the query"),
    "TOO_MANY_DIRECTIVES": (MAX_DIRECTIVES, "directives"),
    "TOO_MANY_FRAGMENTS": (MAX_FRAGMENTS, "fragments"),
    "TOO_MANY_OPERATIONS": (MAX_OPERATIONS, "operations, one of which runs"),
    "TOO_DEEP": (MAX_DEPTH, "levels of fields"),
    "TOO_MANY_ALIASES": (MAX_ALIASES, "aliases"),
    "TOO_MANY_ROOT_FIELDS": (MAX_ROOT_FIELDS, "fields of `Query`"),
    "TOO_MANY_SELECTIONS": (MAX_SELECTIONS, "selections, fragments where they are spread"),
    "TOO_COSTLY": (MAX_COST, "fields of the fullest answer"),
}

_OPENING: Final = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSING: Final = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})


def too(code: str) -> GraphQLError:
    """The refusal of what goes beyond a limit, with the limit."""
    limit, of_what = LIMITS[code]
    return refusal(code, f"At most {limit} {of_what}.", limit=limit)


def parse_bounded(query: str) -> DocumentNode:
    """The query's document; raises GraphQLError for what is none, or too much of one."""
    if len(query) > MAX_QUERY_CHARS:
        raise too("QUERY_TOO_LONG")
    tokens = nesting = directives = 0
    lexer = Lexer(Source(query))
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens += 1
        directives += token.kind is TokenKind.AT
        nesting += (token.kind in _OPENING) - (token.kind in _CLOSING)
        if tokens > MAX_TOKENS:
            raise too("TOO_MANY_TOKENS")
        if nesting > MAX_NESTING:
            raise too("NESTED_TOO_DEEPLY")
    if directives > MAX_DIRECTIVES:
        raise too("TOO_MANY_DIRECTIVES")
    document = parse(query, no_location=False, max_tokens=MAX_TOKENS)
    _bound_definitions(document)
    return document


def _bound_definitions(document: DocumentNode) -> None:
    definitions = document.definitions
    if sum(isinstance(each, FragmentDefinitionNode) for each in definitions) > MAX_FRAGMENTS:
        raise too("TOO_MANY_FRAGMENTS")
    if sum(isinstance(each, OperationDefinitionNode) for each in definitions) > MAX_OPERATIONS:
        raise too("TOO_MANY_OPERATIONS")
    written = sum(
        _fields_written(each.selection_set)
        for each in definitions
        if isinstance(each, FragmentDefinitionNode | OperationDefinitionNode)
    )
    if written > MAX_FIELDS:
        raise too("TOO_MANY_FIELDS")


def _fields_written(selected: SelectionSetNode | None) -> int:
    """Fields, inline fragments and spreads as they stand in the text."""
    if selected is None:
        return 0
    return sum(
        1 + _fields_written(getattr(each, "selection_set", None)) for each in selected.selections
    )


class Weighing:
    """Weighs one operation: raises GraphQLError at the first limit it goes beyond.

    What is no valid query is weighed as far as it can be, and left for validation to refuse.
    """

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._defaults: dict[str, Any] = {}
        self._open: set[str] = set()  # fragments that are being walked: a cycle is not walked
        self.cost = self.aliases = self.selections = self.roots = self.introspections = 0

    def weigh(self, operation: OperationDefinitionNode) -> int:
        """Fields of the fullest answer to this operation."""
        self._defaults = {
            each.variable.name.value: each.default_value
            for each in operation.variable_definitions or ()
        }
        root = self._schema.get_root_type(operation.operation)
        self._walk(operation.selection_set, root, depth=1, times=1, length=ASSUMED_LENGTH)
        return self.cost

    def _walk(
        self, selected: SelectionSetNode, parent: Any, depth: int, times: int, length: int
    ) -> None:
        for each in selected.selections:
            self.selections += 1
            if self.selections > MAX_SELECTIONS:
                raise too("TOO_MANY_SELECTIONS")
            if isinstance(each, FieldNode):
                self._field(each, parent, depth, times, length)
            elif isinstance(each, InlineFragmentNode):
                on = each.type_condition
                of = self._schema.get_type(on.name.value) if on else parent
                self._walk(each.selection_set, of, depth, times, length)
            elif isinstance(each, FragmentSpreadNode):
                self._spread(each.name.value, depth, times, length)

    def _spread(self, name: str, depth: int, times: int, length: int) -> None:
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:
            return
        self._open.add(name)
        of = self._schema.get_type(fragment.type_condition.name.value)
        self._walk(fragment.selection_set, of, depth, times, length)
        self._open.discard(name)

    def _field(self, node: FieldNode, parent: Any, depth: int, times: int, length: int) -> None:
        name = node.name.value
        if node.alias is not None:
            self.aliases += 1
            if self.aliases > MAX_ALIASES:
                raise too("TOO_MANY_ALIASES")
        if depth == 1:
            self.roots += 1
            if self.roots > MAX_ROOT_FIELDS:
                raise too("TOO_MANY_ROOT_FIELDS")
        if name in ("__schema", "__type", "_service"):
            self._introspect(node)
            return
        if depth > MAX_DEPTH:
            raise too("TOO_DEEP")
        self._spend(times)
        if node.selection_set is None:
            return
        field = _field_of(parent, name)
        of, is_list = _unwrapped(field)
        if name == "edges":
            times, is_list = times * length, False
        elif name == "_entities":
            times, is_list = times * self._representations(node), False
        if is_list:
            times *= ASSUMED_LENGTH
        inner = self._first(node) if field is not None and "first" in field.args else length
        self._walk(node.selection_set, of, depth + 1, times, inner)

    def _introspect(self, node: FieldNode) -> None:
        """The schema's answer is as long as the schema; it is asked for once."""
        self.introspections += 1
        if self.introspections > 1:
            raise refusal("INTROSPECTED_TWICE", "The schema is asked for once in a request.")
        self._spend(INTROSPECTION_COST)
        if node.selection_set is not None:
            self._introspect_below(node.selection_set, 1)

    def _introspect_below(self, selected: SelectionSetNode, depth: int) -> None:
        if depth > MAX_INTROSPECTION_DEPTH:
            raise too("TOO_DEEP")
        for each in selected.selections:
            self.selections += 1
            if self.selections > MAX_SELECTIONS:
                raise too("TOO_MANY_SELECTIONS")
            if isinstance(each, FragmentSpreadNode):
                fragment, name = self._fragments.get(each.name.value), each.name.value
                if fragment is not None and name not in self._open:
                    self._open.add(name)
                    self._introspect_below(fragment.selection_set, depth)
                    self._open.discard(name)
            elif (below := getattr(each, "selection_set", None)) is not None:
                self._introspect_below(below, depth + isinstance(each, FieldNode))

    def _spend(self, times: int) -> None:
        self.cost += times
        if self.cost > MAX_COST:
            raise too("TOO_COSTLY")

    def _first(self, node: FieldNode) -> int:
        """How many are asked for: what cannot be read counts as the most there may be."""
        given = self._argument(node, "first")
        if given is None:
            return PAGE_DEFAULT
        return given if isinstance(given, int) and 0 <= given <= PAGE_MAX else PAGE_MAX

    def _representations(self, node: FieldNode) -> int:
        given = self._argument(node, "representations")
        return max(len(given), 1) if isinstance(given, list | tuple) else MAX_REPRESENTATIONS

    def _argument(self, node: FieldNode, name: str) -> Any:
        """An argument's value, as far as its weight needs it; None where it is not given."""
        value: Any = next(
            (each.value for each in node.arguments or () if each.name.value == name), None
        )
        if isinstance(value, VariableNode):
            variable = value.name.value
            if variable in self._variables:
                return self._variables[variable]
            value = self._defaults.get(variable)
        if isinstance(value, IntValueNode):
            return int(value.value)
        return value.values if isinstance(value, ListValueNode) else None


def _field_of(parent: Any, name: str) -> GraphQLField | None:
    if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        field: GraphQLField | None = parent.fields.get(name)
        return field
    return None


def _unwrapped(field: GraphQLField | None) -> tuple[Any, bool]:
    """The type of a field's objects, and whether it holds several."""
    of: Any = field.type if field else None
    is_list = False
    while isinstance(of, GraphQLList | GraphQLNonNull):
        is_list = is_list or isinstance(of, GraphQLList)
        of = of.of_type
    return of, is_list
