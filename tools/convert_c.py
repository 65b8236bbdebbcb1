# SPDX-License-Identifier: GPL-2.0
"""C as tools/convert reads it: tokens, brackets, and the branches of #if.

The preprocessor is not run: every branch is read, and code that does not parse
is still tokens. Brackets that each branch of an #if opens belong together.
"""

import bisect
import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""
  (?P<space>(?:\s|\\\r?\n)+)
| (?P<comment>/\*.*?(?:\*/|\Z)|//(?:\\\r?\n|[^\n])*)
| (?P<str>(?:L|u8?|U)?"(?:\\(?:\r\n|.)|[^"\\\n])*"?)
| (?P<chr>'(?:\\.|[^'\\\n])*'?)
| (?P<id>[A-Za-z_$][\w$]*)
| (?P<num>\.?\d(?:[eEpP][-+]|[\w.])*)
| (?P<op>->|\+\+|--|<<=|>>=|\.\.\.|[<>=!]=|&&|\|\||[-+*/%&|^]=|<<|>>|\#\#|.)
""", re.X | re.S)
DIRECTIVE = re.compile(r"\#[ \t]*(\w*)((?:\\\r?\n|/\*.*?\*/|[^\n])*)", re.S)
PAIRS = {")": "(", "]": "[", "}": "{"}
NEW_MACRO = "DMA_BUF_IMAPPING_SGT"      # kernels with mapping types define it
OLDEST_NEW = 7 << 16 | 2 << 8           # the first kernel for which they exist


@dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass
class Directive:
    word: str
    rest: str
    start: int
    end: int
    at: int     # tokens of code before it


@dataclass
class Branch:
    """The code behind one #if, #elif or #else, and whether new kernels compile it."""
    condition: str
    start: int
    end: int
    live: bool | None
    for_old: bool       # a test for mapping types says no
    tests: str          # the condition, and those of the branches before it


def tokens_of(text, start=0, end=None):
    """The tokens of a piece of text, without space and comments."""
    found, at = [], start
    end = len(text) if end is None else end
    while at < end:
        m = TOKEN.match(text, at, end)
        if m.lastgroup not in ("space", "comment"):
            found.append(Token(m.lastgroup, m[0], m.start(), m.end()))
        at = m.end()
    return found


def comments_of(text):
    return [m for m in TOKEN.finditer(text) if m.lastgroup == "comment"]


@dataclass
class Fragment:
    """Tokens that are read as one: the code of a file, or the body of a macro."""
    tokens: list
    directives: list = field(default_factory=list)
    params: list = field(default_factory=list)
    name: str = ""      # of the macro
    start: int = 0      # of the macro's #define

    def __post_init__(self):
        self.match, self.up = {}, [-1] * len(self.tokens)
        self.scopes = None      # see convert_types
        Brackets(self).run()
        self.starts = [token.start for token in self.tokens]

    def text(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def kind(self, i):
        return self.tokens[i].kind if 0 <= i < len(self.tokens) else ""

    def index(self, offset):
        """The token at an offset, or the first one behind it."""
        return bisect.bisect_left(self.starts, offset)

    def close(self, i):
        return self.match.get(i, len(self.tokens) - 1)

    def brace(self, i):
        """The innermost { around a token, or -1."""
        i = self.up[i]
        while i >= 0 and self.text(i) != "{":
            i = self.up[i]
        return i

    def body(self, i):
        """The { of the function around a token, or -1."""
        found = -1
        while (i := self.brace(i)) >= 0:
            if self.is_body(i):
                found = i
        return found

    def is_body(self, i):
        """Is this { that of a function? Outermost, and behind its parameters."""
        outer = self.up[i]
        if outer >= 0 and not (self.text(outer) == "{" and self.kind(outer - 1) == "str"):
            return False
        while self.kind(i - 1) == "id" and self.text(i - 1) not in ("struct", "union", "enum"):
            i -= 1
        return self.text(i - 1) == ")"

    def split(self, start, end, by=","):
        """(first, last) of the pieces of [start, end) between commas."""
        first, i = start, start
        while i < end:
            if self.text(i) in "([{" and self.match.get(i, -1) > i:
                i = min(self.match[i], end)
            elif self.text(i) == by:
                yield first, i - 1
                first = i + 1
            i += 1
        if first < end:
            yield first, end - 1

    def words(self, first, last):
        return [token.text for token in self.tokens[first:last + 1]]


class Brackets:
    """Finds which bracket closes which. Each branch of an #if begins like the first."""

    def __init__(self, fragment):
        self.fragment, self.stack, self.saved = fragment, [], []

    def run(self):
        directives = iter([*self.fragment.directives, None])
        directive = next(directives)
        for i, token in enumerate(self.fragment.tokens):
            while directive and directive.at <= i:
                self.branch(directive.word)
                directive = next(directives)
            self.bracket(i, token.text)

    def bracket(self, i, text):
        up = self.stack[-1][0] if self.stack else -1
        if text in ("(", "[", "{"):
            self.stack.append([i])
        elif text in PAIRS:
            self.closes(i, PAIRS[text])
            up = self.stack[-1][0] if self.stack else -1
        self.fragment.up[i] = up

    def closes(self, i, wanted):
        opened = [n for n, frame in enumerate(self.stack)
                  if self.fragment.text(frame[0]) == wanted]
        if opened:
            for j in self.stack[opened[-1]]:
                self.fragment.match[j] = i
            self.fragment.match[i] = self.stack[opened[-1]][0]
            del self.stack[opened[-1]:]

    def branch(self, word):
        if word.startswith("if"):
            self.saved.append((list(self.stack), []))
        elif word.startswith("el") and self.saved:
            before, ends = self.saved[-1]
            ends.append(self.stack)
            self.stack = list(before)
        elif word == "endif" and self.saved:
            before, ends = self.saved.pop()
            for other in ends:
                self.join(other, len(before))

    def join(self, other, common):
        """What the other branch left open ends where this one's ends."""
        for mine, its in zip(self.stack[common:], other[common:]):
            mine.extend(j for j in its if j not in mine)
        if len(other) > len(self.stack) >= common:
            self.stack += other[len(self.stack):]


class Source:
    """A file of C: its code, its macros, its branches."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.line_starts = [0] + [m.end() for m in re.finditer("\n", text)]
        self.directives, self.macros = [], []
        self.code = self.read()
        self.branches = list(branches(self.directives, len(text)))

    def read(self):
        """Tokens, and the directives between them."""
        tokens, at, fresh = [], 0, True
        while at < len(self.text):
            if fresh and (m := DIRECTIVE.match(self.text, at)):
                self.directive(m, len(tokens))
            else:
                m = TOKEN.match(self.text, at)
                if m.lastgroup == "space":
                    fresh |= "\n" in m[0]
                elif m.lastgroup != "comment":
                    fresh = False
                    tokens.append(Token(m.lastgroup, m[0], m.start(), m.end()))
            at = m.end()
        return Fragment(tokens, self.directives)

    def directive(self, m, at):
        self.directives.append(Directive(m[1], without_comments(m[2]), m.start(), m.end(), at))
        if m[1] == "define":
            self.macros.append(macro(self.text, m))

    def fragments(self):
        return [self.code, *self.macros]

    def line(self, offset):
        return bisect.bisect_right(self.line_starts, offset)

    def column(self, offset):
        """As an editor counts, with tabs of eight."""
        return len(self.text[self.line_starts[self.line(offset) - 1]:offset].expandtabs())

    def newline(self):
        return "\r\n" if "\r\n" in self.text else "\n"

    def branch_of(self, offset):
        """The innermost branch at an offset, or None."""
        around = [b for b in self.branches if b.start <= offset < b.end]
        return max(around, key=lambda b: b.start, default=None)

    def for_old(self, offset):
        return any(b.for_old for b in self.branches if b.start <= offset < b.end)

    def without_dma_buf(self, offset):
        """In a branch that asks whether the kernel has DMA-buf: what is defined there is a stub."""
        return any("CONFIG_DMA_SHARED_BUFFER" in b.tests for b in self.branches if b.start <= offset < b.end)

    def dead(self, offset):
        """Never compiled by a kernel with mapping types."""
        return any(b.live is False for b in self.branches if b.start <= offset < b.end)


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//.*|\\\r?\n", " ", text, flags=re.S)


def macro(text, m):
    """The body of a #define as a fragment."""
    tokens = tokens_of(text, m.start(2), m.end(2))
    name = tokens[0].text if tokens else ""
    params, body = [], tokens[1:]
    if body and body[0].text == "(" and body[0].start == tokens[0].end:
        end = next((i for i, t in enumerate(body) if t.text == ")"), 0)
        params = [t.text for t in body[1:end] if t.kind == "id"]
        body = body[end + 1:]
    return Fragment(body, [], params, name, m.start())


# ------------------------------------------------------------------ branches

def branches(directives, end):
    """Each branch, with the verdict of all the tests before it."""
    stack = []
    for d in directives:
        if d.word in ("if", "ifdef", "ifndef"):
            stack.append([(d, condition_of(d))])
        elif d.word in ("elif", "elifdef", "elifndef", "else") and stack:
            stack[-1].append((d, condition_of(d)))
        elif d.word == "endif" and stack:
            yield from judged(stack.pop(), d.start)
    for tests in stack:
        yield from judged(tests, end)


def condition_of(d):
    """The test of a directive as an expression."""
    if d.word == "else":
        return "1"
    if d.word.endswith("def"):
        return f"{'!' if d.word.endswith('ndef') else ''}defined({d.rest.strip()})"
    return d.rest


def judged(tests, end):
    before, seen = False, ""
    for (d, condition), after in zip(tests, [*(d for d, _ in tests[1:]), None]):
        here = truth(condition)
        live = False if before is True or here is False else None if here is None or before is None else True
        seen += condition
        yield Branch(condition, d.end, after.start if after else end, live,
                     live is False and NEW_MACRO in seen, seen)
        before = either(before, here)


def either(a, b):
    return True if a is True or b is True else None if a is None or b is None else False


def truth(condition):
    """True, False, or None: what a kernel with mapping types makes of a test."""
    try:
        value = Condition(tokens_of(condition)).any_of()
    except (IndexError, ValueError):
        return None
    return None if value is None or isinstance(value, str) else bool(value)


class Condition:
    """Reads a test. LINUX_VERSION_CODE is "some version since OLDEST_NEW"."""

    def __init__(self, tokens):
        self.words, self.at = [t.text for t in tokens] + [""], 0

    def take(self, *wanted):
        if not wanted or self.words[self.at] in wanted:
            self.at += 1
            return self.words[self.at - 1]
        return ""

    def any_of(self):
        value = self.all_of()
        while self.take("||"):
            value = either(as_bool(value), as_bool(self.all_of()))
        return value

    def all_of(self):
        value = self.compared()
        while self.take("&&"):
            a, b = as_bool(value), as_bool(self.compared())
            value = False if a is False or b is False else None if a is None or b is None else True
        return value

    def compared(self):
        left = self.single()
        if operator := self.take("<", "<=", ">", ">=", "==", "!="):
            return compare(left, operator, self.single())
        return left

    def single(self):
        if self.take("!"):
            value = as_bool(self.single())
            return None if value is None else not value
        if self.take("("):
            value = self.any_of()
            self.expect(")")
            return value
        word = self.take()
        if word == "defined":
            paren = self.take("(")
            name = self.take()
            if paren:
                self.expect(")")
            return True if name == NEW_MACRO else None
        if re.fullmatch(r"(0[xX][\da-fA-F]+|\d+)[uUlL]*", word):
            return int(word.rstrip("uUlL"), 0) if word.strip("0uUlL") else 0
        if word == "KERNEL_VERSION":
            return self.version()
        return self.name(word)

    def name(self, word):
        if not re.match(r"\w", word):
            raise ValueError(word)
        if self.words[self.at] == "(":      # a macro: nobody knows
            depth = 0
            while word := self.take():
                depth += (word == "(") - (word == ")")
                if not depth:
                    break
            return None
        return "version" if word == "LINUX_VERSION_CODE" else True if word == NEW_MACRO else None

    def version(self):
        self.expect("(")
        numbers = []
        while (word := self.take()) not in (")", ""):
            if word != ",":
                numbers.append(int(word, 0))
        return numbers[0] << 16 | numbers[1] << 8 | min(numbers[2], 255)

    def expect(self, word):
        if not self.take(word):
            raise ValueError(word)


def as_bool(value):
    return None if value is None or value == "version" else bool(value)


def compare(left, operator, right):
    """The value of a comparison, None if it depends on more than we know."""
    if right == "version":
        flipped = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
        left, operator, right = right, flipped.get(operator, operator), left
    if not isinstance(right, int) or left is None:
        return None
    if left == "version":
        newer = right < OLDEST_NEW or (right == OLDEST_NEW and operator in ("<", ">="))
        return operator in (">", ">=", "!=") if newer else None
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
            "==": left == right, "!=": left != right}[operator]
