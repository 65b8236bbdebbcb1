# SPDX-License-Identifier: GPL-2.0
"""What tools/convert changes in a file of C, and what it leaves to a person.

Each use of an old name ends in one of three ways: an edit, a finding, or an
explanation of why it is something else. The sweep finds those that do not.
"""

import re
from dataclasses import dataclass

import convert_c
import convert_code as code
from convert_driver import OLD, OLD_NAMES, SWEEP
from convert_types import ATTACHMENT, BASIC, EXP_OPS, OPS, Types, declaration

FEATURE = re.compile(r"(?<!ALLOW_)PEER2PEER|P2P_ATTACH|DYNAMIC_ATTACH(?!MENT)|MAP_DMA_BUF|MAP_ATTACHMENT|"
                     r"DMA_BUF_ATTACH(?!MENT|_OPS|_FLAG)|DMA_BUF_ATTACHMENT\w*_DEV(?!ICE)", re.I)
LIKE_ATTACHMENT = re.compile(r"(?:^|_)(?:at|att)$|attach", re.I)
MARK = re.compile(r"dma-buf-convert: decided\b[^\n\[]*(?:\[([\w-]+)\])?")
ASSIGNS = {"=", "+=", "-=", "|=", "&=", "++", "--"}
FALLBACK = "is for old kernels, and used no more: remove it"
SIMPLE = "DMA_BUF_SIMPLE_SGT_EXP_MATCH"
NAMES = re.compile(OLD)


@dataclass
class Finding:
    """One use that is left. Those with the same group are one decision."""
    path: object
    line: int
    what: str
    todo: str
    key: str
    group: tuple
    code: str = ""
    note: bool = False


def new_name(old):
    return old.replace("dma_buf_", "dma_buf_sgt_", 1)


class Marks:
    """Comments that say: this is decided. For their line and the next, or a kind in the file."""

    def __init__(self, text):
        self.lines, self.kinds = set(), set()
        for number, line in enumerate(text.split("\n"), 1):
            if m := MARK.search(line):
                self.kinds |= {m[1]} - {None}
                self.lines |= set() if m[1] else {number, number + 1}

    def __call__(self, line, key):
        return key in self.kinds or line in self.lines


class Analysis:
    """Edits and findings of one file."""

    def __init__(self, source, driver):
        self.source, self.driver, self.types = source, driver, Types(driver)
        self.edits, self.findings, self.explained, self.refused = [], [], set(), False
        self.decided = Marks(source.text)
        self.tables = []        # (name, map, unmap) of each dma_buf_ops
        self.walked = {}        # tokens of the code whose loop is not decided
        self.entries = {}
        self.run()

    def run(self):
        self.feature_tests()
        self.walks()
        for f in self.source.fragments():
            for i, token in enumerate(f.tokens):
                self.token(f, i, token)
            self.pasted(f)
        for entries in self.entries.values():
            self.callbacks(entries)
        self.without_names()
        for macro in self.source.macros:
            self.alias(macro)
        if self.refused:
            self.edits = []

    def token(self, f, i, token):
        if token.kind == "str":
            self.string(token)
        elif token.kind != "id":
            return
        elif self.source.for_old(token.start):
            self.explain(token)
        elif token.text in OLD_NAMES:
            self.function(f, i)
        elif token.text in ("map_dma_buf", "unmap_dma_buf"):
            self.callback(f, i)
        elif token.text == "peer2peer":
            self.peer2peer(f, i)
        elif token.text == "dev":
            self.device(f, i)

    # ------------------------------------------------------------- what comes out

    def explain(self, token):
        self.explained.add(token.start)

    def find(self, token, what, todo, key, group=None, code="", note=False):
        """A finding at a token, unless somebody has decided it."""
        self.explained.add(token.start)
        line = self.source.line(token.start)
        if not self.decided(line, key) and not self.source.for_old(token.start):
            note = note or self.source.dead(token.start)
            self.findings.append(Finding(self.source.path, line, what, todo, key, group or
                                         (self.source.path, line, key, what), code, note))

    def edit(self, start, end, text):
        self.edits.append((start, end, text))

    def slice(self, f, first, last):
        return self.source.text[f.tokens[first].start:f.tokens[last].end]

    # -------------------------------------------------------------- feature tests

    def feature_tests(self):
        for d in self.source.directives:
            if d.word not in ("if", "ifdef", "ifndef", "elif", "elifdef", "elifndef"):
                continue
            names = [w for w in dict.fromkeys(re.findall(r"\w+", d.rest)) if FEATURE.search(w) and
                     not w.startswith("CONFIG_")]
            # The answer of the guard of a header, or of a macro of our own, stays
            if names and convert_c.NEW_MACRO not in d.rest and not self.guards(d):
                self.feature_test(d, names)

    def guards(self, d):
        """#ifndef X, and then #define X: a header's guard."""
        m = re.match(rf"\s*#\s*define\s+{re.escape(d.rest.strip())}\s*(?:1\s*)?$", self.source.text[d.end:], re.M)
        return d.word == "ifndef" and bool(m) and d.rest.strip() not in OLD_NAMES

    def feature_test(self, d, names):
        before = len(self.findings)
        token = convert_c.Token("id", d.word, d.start, d.end)
        line = f"#{d.word} {' '.join(d.rest.split())}"
        self.find(token, f"'{line[:60]}'", "a test for what is gone, which says no from now on: if the code "
                  f"behind it is for new kernels as well, write '{code.test_for_both(d, names)}'",
                  "feature-test", (self.source.path, "feature-test", *names))
        if len(self.findings) > before and not self.findings[-1].note:
            self.refused = True
            self.findings[-1].what += " (the file is left as it is)"

    # ------------------------------------------------------------------ functions

    def function(self, f, i):
        token = f.tokens[i]
        before, after = f.text(i - 1), f.text(i + 1)
        if "##" in (before, after):
            return self.explain(token)      # see pasted()
        if before in ("->", ".", "struct", "union", "enum", "goto") or self.is_variable(f, i):
            return self.explain(token)
        if f is self.source.code and is_definition(f, i) and not self.source.without_dma_buf(token.start):
            return self.find(token, f"'{token.text}()'", FALLBACK, "alias", note=True)
        self.edit(token.start, token.end, new_name(token.text))

    def is_variable(self, f, i):
        declared = f is self.source.code and self.source.declared().lookup(f.text(i), i)
        return bool(declared) and not declared.function

    def pasted(self, f):
        for i in range(1, len(f.tokens) - 1):
            token = f.tokens[i - 1]
            if f.text(i) == "##" and token.kind == "id" and token.text.startswith("dma_buf_") and \
                    any(name.startswith(token.text) for name in OLD_NAMES):
                self.find(token, f"'{token.text} ##'", "a name made with ##: the old functions are called "
                          "dma_buf_sgt_* now", "pasted")

    def alias(self, macro):
        """#define OLD_NAME: its users get the new name, and new kernels must not get another function by it."""
        if macro.name not in OLD_NAMES or self.source.for_old(macro.start):
            return
        start = self.source.text.index(macro.name, macro.start)
        token = convert_c.Token("id", macro.name, start, start)
        test = self.unknown_test(macro.start)
        if not test and not self.source.dead(macro.start):
            return self.edit(start, start + len(macro.name), new_name(macro.name))
        if not test:
            self.find(token, f"'#define {macro.name}'", FALLBACK, "alias", note=True)
        elif not self.refused:
            self.alias_of_nobody_knows_what(macro, token, test)
        for other in (token, *macro.tokens):
            self.edits = [e for e in self.edits if e[0] != other.start]
            self.explain(other)

    def unknown_test(self, offset):
        """The innermost test around an offset whose answer nobody knows, but for a header's guard; or None."""
        starts = {b.start: b for b in self.source.branches if b.start <= offset < b.end and b.live is None}
        return next((d for d in reversed(self.source.directives) if d.end in starts and not self.guards(d)), None)

    def alias_of_nobody_knows_what(self, macro, token, test):
        before = len(self.findings)
        line = token_line(self.source, convert_c.Token("", "", macro.start, macro.start))
        self.find(token, f"'{line}' (the file is left as it is)", f"on new kernels it would replace {new_name(macro.name)}(), if "
                  f"'#{test.word}{test.rest}' says so: if it is for kernels without the function, write", "alias",
                  code=f"#ifndef {convert_c.NEW_MACRO}\n{line}\n#endif")
        self.refused = len(self.findings) > before

    def string(self, token):
        if not NAMES.search(token.text):
            return
        name = token.text.strip('"')
        if name in OLD_NAMES:
            self.find(token, token.text, f"if it looks up the symbol, write \"{new_name(name)}\"", "string")
        else:
            self.find(token, f"{token.text[:50]}", "a message with an old name", "string", ("string",), note=True)

    # ------------------------------------------------------------------ callbacks

    def callback(self, f, i):
        """A use of (un)map_dma_buf: a field with a value, a member, or a name of the driver's own."""
        token, before = f.tokens[i], f.text(i - 1)
        first = self.path_start(f, i)
        if first >= 0 and f.text(i + 1) in ("=", ":"):
            return self.field(f, first, i)
        if before in ("->", "."):
            return self.member(f, i)
        own = self.driver.name(token.text, self.source) or f.text(i + 1) == "(" or before in ("*", "&") or \
            f is self.source.code and self.source.declared().lookup(token.text, i)
        if own and not self.names_struct(f, i, OPS):
            return self.explain(token)
        self.find(token, f"'{token.text}'", "a member that is gone from dma_buf_ops: see struct "
                  "dma_buf_mapping_sgt_exp_ops", "callback")

    @staticmethod
    def path_start(f, i):
        """The first token of a field's name in an initialiser, or -1: .a.b[1].map_dma_buf"""
        first = i
        while f.text(first - 1) == "." or f.text(first - 1) == "]":
            first = f.match.get(first - 1, first - 1) if f.text(first - 1) == "]" else first - 1
            if f.kind(first - 1) == "id" and f.text(first) == ".":
                first -= 1
        opener = f.up[first]
        if f.text(first) != "." and not (first == i and f.text(i + 1) == ":"):
            return -1
        if f.text(first - 1) not in ("{", ",", "", "}") and not any(d.at == first for d in f.directives):
            return -1
        return first if opener < 0 or f.text(opener) == "{" else -1

    def field(self, f, first, i):
        token, brace = f.tokens[i], f.up[first]
        type_ = self.brace_type(f, brace)
        for name in f.words(first, i - 2):
            if name not in (".", "]", "[") and type_:
                type_ = self.types.member(type_, name, self.source)
        if type_ and type_[0] != OPS or not type_ and brace >= 0 and self.driver.has_private_callbacks():
            if type_:
                return self.explain(token)
            return self.find(token, f"'.{token.text}'", "in an initialiser whose struct is not known: if it is a "
                             "dma_buf_ops, write " + SIMPLE + "(map, unmap)", "callback", (self.source.path, brace))
        last = self.value_end(f, i + 2)
        if f.text(i + 2) in (",", "}", ""):
            return self.find(token, f"'.{token.text}'", "has no value: correct it", "callback")
        path = " ".join(f.words(first, i - 2)) if i - first > 1 else ""
        self.entries.setdefault((id(f), brace, path), []).append((f, first, i, last))

    @staticmethod
    def value_end(f, i):
        while i + 1 < len(f.tokens) and f.text(i + 1) not in (",", "}", ")", ";"):
            i = f.close(i + 1) if f.text(i + 1) in ("(", "[", "{") else i + 1
            if f.text(i) in ("(", "[", "{"):
                i = f.close(i)
        return i

    def brace_type(self, f, brace, depth=0):
        """The type of what a brace initialises."""
        if brace < 0 or depth > 6:
            return None
        before = f.text(brace - 1)
        if before == ")":
            return self.types.named(self.source, f, f.match.get(brace - 1, brace) + 1, brace - 2)
        if before == "=":
            return self.assigned_type(f, brace, depth)
        if before in ("{", ",", ""):
            outer = self.brace_type(f, f.up[brace], depth + 1)
            return self.element(outer) or self.positional(f, outer, brace)
        return None

    @staticmethod
    def element(type_):
        return (type_[0], type_[1] - 1) if type_ and type_[1] > 0 else None

    def positional(self, f, type_, brace):
        """The field that a brace without a name is for."""
        members = type_ and type_[1] == 0 and self.driver.struct(type_[0], self.source)
        pieces = list(f.split(f.up[brace] + 1, brace + 1))
        if not members or len(pieces) > len(members) or any(f.text(a) in (".", "[") for a, _ in pieces):
            return None
        return self.types.resolved(list(members.values())[len(pieces) - 1], self.source)

    def assigned_type(self, f, brace, depth):
        """Of the field, element or variable in front of '= {'."""
        outer = f.up[brace]
        i = brace - 2
        if outer >= 0 and f.text(outer) == "{" and not f.is_body(outer) and f.body(brace) != outer:
            piece = next(((a, b) for a, b in f.split(outer + 1, f.close(outer)) if a <= i <= b), (i, i))
            type_ = self.brace_type(f, outer, depth + 1)
            for name in f.words(piece[0], i):
                if name == "[":
                    type_ = self.element(type_)
                elif re.match(r"[A-Za-z_]", name) and ("." in f.words(piece[0], i)):
                    type_ = self.types.member(type_, name, self.source)
            return type_
        start = i
        while start > 0 and f.text(start - 1) not in (";", "{", "}"):
            start = f.match.get(start - 1, start - 1) if f.text(start - 1) in ("]", ")") else start - 1
        dims = f.words(start, i).count("[")
        # What is behind other macros or directives begins with the struct
        structs = [j for j in range(start, i) if f.text(j) in ("struct", "union")]
        found = declaration(f, structs[-1] if structs else start)
        if found and not isinstance(found[0], tuple):
            return self.types.resolved((found[0], dims), self.source)
        return self.types.resolved((f"struct {f.text(structs[-1] + 1)}", dims), self.source) if structs else None

    def callbacks(self, entries):
        """The callbacks of one initialiser: both in each branch, or a finding."""
        by_branch = {}
        for entry in entries:
            f, first, i, last = entry
            branch = self.source.branch_of(f.tokens[first].start) if f is self.source.code else None
            by_branch.setdefault(id(branch) if branch else 0, {})[f.text(i)] = entry
        f, _, i, _ = entries[0]
        whole = all(len(pair) == 2 for pair in by_branch.values())
        if not whole and len(entries) == 1:
            return self.find(f.tokens[i], f"'.{f.text(i)}'", "only one of map_dma_buf and unmap_dma_buf: set both",
                             "callback")
        if not whole or any(self.has_directive(e) for e in entries):
            return self.find_all(entries, "#if between map_dma_buf and unmap_dma_buf: set both in each branch")
        for pair in by_branch.values():
            self.pair(*pair["map_dma_buf"], *pair["unmap_dma_buf"][1:])

    def has_directive(self, entry):
        f, first, _, last = entry
        return any(first < d.at <= last for d in f.directives)

    def find_all(self, entries, todo, code=""):
        """One finding for some fields."""
        for f, _, i, _ in entries:
            self.find(f.tokens[i], "the callbacks of a dma_buf_ops", todo, "callback",
                      (self.source.path, entries[0][1], "callbacks"), code)

    def pair(self, f, first, i, last, un_first, un_i, un_last):
        mapped, unmapped = self.slice(f, i + 2, last), self.slice(f, un_i + 2, un_last)
        name = self.variable(f, first)
        self.tables.append((name, mapped, unmapped))
        both = [(f, first, i, last), (f, un_first, un_i, un_last)]
        if f is self.source.code and f.body(i) >= 0:
            return self.find_all(both, "an offer made inside a function would be on its stack: make it at file scope",
                                 code.offer_at_file_scope(name, mapped, unmapped))
        path = f.words(first, i - 2) if i - first > 1 else []
        if path and not self.nest(f, first, un_first, path):
            return self.find_all(both, f"write {''.join(path)} = {{ {SIMPLE}({mapped}, {unmapped}) }}, with all its fields")
        self.simple(f, first, i, last, unmapped)
        self.remove(f, un_first, un_last)

    def simple(self, f, first, i, last, unmapped):
        """.map_dma_buf = m  ->  DMA_BUF_SIMPLE_SGT_EXP_MATCH(m, u)"""
        start, end = f.tokens[first].start, f.tokens[last].end
        line = self.source.text[self.source.line_starts[self.source.line(start) - 1]:start]
        mapped = self.slice(f, i + 2, last)
        room = len(line.expandtabs()) + len(f"{SIMPLE}({mapped}, {unmapped}),")
        gap = " "
        if room > 80 and f is self.source.code and not line.strip():
            column = len(line.expandtabs()) + len(SIMPLE) + 1
            gap = self.source.newline() + code.indentation(column, "\t" in line)
        self.edit(start, f.tokens[i + 2].start, f"{SIMPLE}(")
        self.edit(end, end, f",{gap}{unmapped})")

    def remove(self, f, first, last):
        """A field with its comma, and the line if nothing else is on it."""
        text, start, end = self.source.text, f.tokens[first].start, f.tokens[last].end
        if f.text(last + 1) == ",":
            end = f.tokens[last + 1].end
        rest = re.match(r"[ \t]*(?:\\?\r?\n|$)", text[end:])
        line_start = self.source.line_starts[self.source.line(start) - 1]
        if rest and not text[line_start:start].strip():
            if f is self.source.code:
                return self.edit(line_start, end + rest.end(), "")
            # In a macro, the backslash of the line before goes
            return self.edit(len(text[:line_start].rstrip().rstrip("\\").rstrip()), end, "")
        if not text[line_start:start].strip() and f.text(last + (f.text(last + 1) == ",") + 1) == "}" and \
                not text[f.tokens[first - 1].end:start].strip():
            # The bracket comes up behind what is before
            return self.edit(f.tokens[first - 1].end, end, "")
        while text[end:end + 1] in (" ", "\t") and (f.text(last + 1) == "," or not rest):
            end += 1
        blank = len(text[:start]) - len(text[:start].rstrip(" \t"))
        # Nothing follows on the line: the space before it goes as well
        self.edit(start - (blank if rest else 0), end, "")

    def nest(self, f, first, un_first, path):
        """.ops.a = 1, .ops.b = 2  ->  .ops = { .a = 1, .b = 2 }, if they stand together."""
        brace = f.up[first]
        pieces = list(f.split(brace + 1, f.close(brace))) if brace >= 0 else []
        mine = [n for n, (a, _) in enumerate(pieces) if f.words(a, a + len(path) - 1) == path and
                f.text(a + len(path)) == "."]
        together = mine == list(range(mine[0], mine[-1] + 1)) if mine else False
        lines = [self.source.line(f.tokens[pieces[n][0]].start) for n in mine]
        if not together or len(set(lines)) < len(lines) or any(
                pieces[mine[0]][0] < d.at <= pieces[mine[-1]][1] + 1 for d in f.directives) or f is not self.source.code:
            return False
        kept = [pieces[n] for n in mine if pieces[n][0] != un_first]
        self.nested(f, kept, path, first)
        return True

    def nested(self, f, kept, path, mapped):
        newline, start = self.source.newline(), f.tokens[kept[0][0]].start
        line = self.source.text[self.source.line_starts[self.source.line(start) - 1]:start]
        for n, (a, _) in enumerate(kept):
            self.edit(f.tokens[a].start, f.tokens[a].start,
                      f"{''.join(path)} = {{{newline}{line}\t" if n == 0 else "\t")
            if a != mapped:     # simple() replaces the whole name
                self.edit(f.tokens[a].start, f.tokens[a + len(path)].start, "")
        last = kept[-1][1]
        comma = f.text(last + 1) == ","
        end = f.tokens[last + comma].end
        self.edit(end, end, f"{newline}{line}}},")

    def variable(self, f, i):
        """The name of what is initialised, to make others from."""
        brace = f.up[i]
        while brace >= 0:
            j = brace - 2
            while f.text(j) == "]":
                j = f.match.get(j, 0) - 1
            if f.text(brace - 1) == "=" and f.kind(j) == "id" and f.text(j - 1) != ".":
                return f.text(j)
            brace = f.up[brace]
        return "my_ops"

    def without_names(self):
        f = self.source.code
        for i, token in enumerate(f.tokens):
            inner = f.text(i + 1)
            if token.text != "{" or inner in (".", "}", "[", "{", "0", "NULL") or f.text(i + 2) == ":" or \
                    f.kind(i + 1) == "id" and (inner.isupper() or f.text(i + 2) == "(") or f.kind(i + 1) == "":
                continue
            if f.text(i - 1) in ("=", ")", ",", "{") and self.brace_type(f, i) == (OPS, 0):
                self.find(f.tokens[i - 1], "a dma_buf_ops without the names of its fields", "set each by name, "
                          "and run this again", "callback")

    def member(self, f, i):
        """x->map_dma_buf, read or written."""
        token, first = f.tokens[i], self.types.start(f, i - 2)
        type_ = self.types.of(self.source, f, first, i - 2) if first >= 0 else None
        if type_ and type_[0] != OPS or not type_ and self.names_struct(f, i, EXP_OPS):
            return self.explain(token)
        what = f"'{self.slice(f, max(first, 0), i)}'"
        if f.text(i + 1) == "=":
            left = self.slice(f, max(first, 0), i - 1)
            name = re.sub(r"\W+", "_", left).strip("_") if "(" not in left else "my_ops"
            value = self.slice(f, i + 2, self.value_end(f, i + 2))
            group = (self.source.path, "run time", self.slice(f, max(first, 0), i - 2))
            return self.find(token, what, "a callback set at run time: make the offer at file scope", "callback", group,
                             code.offer_at_file_scope(name, value, value.replace("map", "unmap", 1), left))
        attach = self.argument(f, i)
        self.find(token, what, f"the exporter's callback: ask dma_buf_get_sgt_ops({attach})->{token.text}", "callback",
                  (self.source.path, "callback", what))

    def argument(self, f, i):
        """The attachment that a callback is called with."""
        if f.text(i + 1) == "(":
            for first, last in f.split(i + 2, f.close(i + 1)):
                return self.slice(f, first, last)
        return "attach"

    def names_struct(self, f, i, struct):
        """offsetof(struct dma_buf_ops, map_dma_buf) and the like."""
        opener = f.up[i]
        return opener >= 0 and f.text(opener) == "(" and struct.split()[1] in f.words(opener, i)

    # -------------------------------------------------------------------- devices

    def device(self, f, i):
        token, before = f.tokens[i], f.text(i - 1)
        if self.names_struct(f, i, ATTACHMENT) and before == ",":
            return self.find(token, "'dev' of dma_buf_attachment", "the member is gone: see dma_buf_sgt_dma_device()", "device")
        if before not in ("->", "."):
            return self.explain(token)
        first = self.path_start(f, i)
        if before == "." and first >= 0 and f.text(i + 1) == "=":
            if self.brace_type(f, f.up[first]) == (ATTACHMENT, 0) and i - first == 1:
                return self.find(token, "'.dev' of a dma_buf_attachment", "the member is gone: the core sets map_type "
                                 "when it attaches", "device")
            return self.explain(token)
        start = self.types.start(f, i - 2)
        verdict = self.is_attachment(f, start, i)
        if verdict is True:
            return self.attachment(f, start, i)
        if verdict is None:
            what = self.slice(f, max(start, 0), i) + (f"' in macro '{f.name}" if f.name else "")
            self.find(token, f"'{what}'", f"if this is a dma_buf_attachment, write {self.device_of(f, max(start, 0), i)}",
                      "device", (self.source.path, "device", what))
        else:
            self.explain(token)

    def is_attachment(self, f, start, i):
        """True, False, or None if nobody knows and it is called like one."""
        known = {}
        if start >= 0 and f.params:
            known = {p: self.parameter(f, p) for p in f.params if p in f.words(start, i)}
            if "mixed" in known.values():
                return None
        type_ = self.types.of(self.source, f, start, i - 2, known) if start >= 0 else None
        if type_:
            return type_ == (ATTACHMENT, 1 if f.text(i - 1) == "->" else 0) or (None if type_[0] == ATTACHMENT else False)
        tail = self.tail(f, i - 2)
        members = self.driver.types_of_member(tail) if f.text(i - 3) in ("->", ".") else set()
        if members:
            return members == {(ATTACHMENT, 1)} if all(t[0] == ATTACHMENT for t in members) or \
                not any(t[0] == ATTACHMENT for t in members) else None
        return None if LIKE_ATTACHMENT.search(tail) or self.is_stranger(f, start, i - 2) else False

    def is_stranger(self, f, first, last):
        """A variable that nothing declares, in a file that has to do with attachments."""
        return "dma_buf_attach" in self.source.text and f is self.source.code and first == last and f.kind(first) == "id" and \
            not self.source.declared().lookup(f.text(first), first) and \
            not self.driver.name(f.text(first), self.source) and not self.driver.macro(f.text(first), self.source)

    def parameter(self, f, param):
        """The type that all users of a macro give to a parameter; "mixed" if they differ."""
        types = set()
        for source in list(self.driver.sources.values()):
            if f.name not in source.text:
                continue
            for g in source.fragments():
                for j, token in enumerate(g.tokens):
                    if token.text == f.name and g.text(j + 1) == "(":
                        args = list(g.split(j + 2, g.close(j + 1)))
                        n = f.params.index(param)
                        types.add(self.types.of(source, g, *args[n]) if n < len(args) else None)
        types.discard(None)
        if (ATTACHMENT, 1) in types and len(types) > 1:
            return "mixed"
        return types.pop() if len(types) == 1 else None

    @staticmethod
    def tail(f, i):
        """The name that an expression ends with: of a member, a variable or a function."""
        while f.text(i) in (")", "]"):
            opener = f.match.get(i, 0)
            call = f.text(i) == "]" or f.kind(opener - 1) == "id"
            i = opener - 1 if call else i - 1
        return f.text(i)

    def device_of(self, f, start, i):
        return f"dma_buf_sgt_dma_device({self.operand(f, start, i)[0]})"

    def operand(self, f, start, i):
        """(what to hand over, its first and last token): without the parentheses around it."""
        last = i - 2
        value = f.text(i - 1) == "."
        while f.text(start) == "(" and f.match.get(start) == last and "," not in [
                f.text(j) for j in range(start, last) if f.up[j] == start]:
            start, last = start + 1, last - 1
        if value and f.text(start) == "*":
            return self.slice(f, start + 1, last), start + 1, last, ""
        return ("&" if value else "") + self.slice(f, start, last), start, last, "&" if value else ""

    def attachment(self, f, start, i):
        """attach->dev, if it can be a call."""
        token, after = f.tokens[i], f.text(i + 1)
        what = self.slice(f, start, i)
        whole = after not in ("->", ".", "[", "(")
        key = self.walk_around(f, start, i)
        if key:
            self.explain(token)
        elif whole and f.text(start - 1) == "&" and not self.is_operand(f, start - 2):
            self.find(token, f"'&{what}'", "the address of a member that is gone: keep the device in a variable, "
                      f"struct device *dev = {self.device_of(f, start, i)}", "device")
        elif after in ASSIGNS or whole and (f.text(start - 1) in ("++", "--") or self.is_set_by_macro(f, start, i)):
            self.find(token, f"'{what} {after}'", "assigns to a member that is gone: the importer names its device when it "
                      "attaches, dma_buf_sgt_attach(dmabuf, dev)", "device")
        else:
            _, first, last, mark = self.operand(f, start, i)
            self.edit(f.tokens[start].start, f.tokens[first].start, f"dma_buf_sgt_dma_device({mark}")
            self.edit(f.tokens[last].end, token.end, ")")

    @staticmethod
    def is_set_by_macro(f, start, i):
        """Is [start, i] what one of the kernel's macros writes to?"""
        name, before, after = f.text(f.up[i] - 1), f.text(start - 1), f.text(i + 1)
        return name == "swap" and (before == "(" or after == ")") or \
            name in ("WRITE_ONCE", "rcu_assign_pointer") and before == "(" and after == ","

    @staticmethod
    def is_operand(f, i):
        return f.kind(i) in ("num", "str", "chr") or f.text(i) in (")", "]") or \
            f.kind(i) == "id" and f.text(i) not in ("return", "case", "else", *BASIC)

    # ---------------------------------------------------------------------- walks

    def walks(self):
        """Code that takes attachments from the list of a buffer, which may be of any type."""
        f = self.source.code
        loops = {m.name for source in self.driver.sources.values() for m in source.macros
                 if "attachments" in m.words(0, len(m.tokens)) and any("for_each" in t.text for t in m.tokens)}
        for i, token in enumerate(f.tokens):
            if f.text(i + 1) != "(" or f.body(i) < 0 or self.source.for_old(token.start):
                continue
            if token.text.startswith("list_for_each") or token.text in loops:
                self.walk(f, i)
            elif "entry" in token.text and "attachments" in f.words(i, f.close(i + 1)) and f.text(i - 1) == "=":
                self.look(f, i, {f.text(i - 2)}, f.close(i + 1), f.close(f.brace(i)))

    def walk(self, f, i):
        args = list(f.split(i + 2, f.close(i + 1)))
        body = f.close(i + 1) + 1
        end = self.statement_end(f, body)
        names = {f.text(a) for a, b in args if self.types.of(self.source, f, a, b) == (ATTACHMENT, 1)}
        if not names and "attachments" in f.words(i, body):
            names = {f.text(j) for j in range(body, end) if f.text(j + 1) == "->" and f.text(j + 2) == "dev" and
                     self.types.of(self.source, f, j, j) == (ATTACHMENT, 1)}
        self.look(f, i, names, body, end)

    def look(self, f, i, names, body, end):
        """A finding for attachments that are used between two tokens without a check."""
        names = sorted(name for name in names if self.uses(f, name, body, end))
        if not names or {"dma_buf_is_sgt", "dma_buf_get_sgt_ops"} & set(f.words(body, end)):
            return
        before = len(self.findings)
        self.find(f.tokens[i], f"'{token_line(self.source, f.tokens[i])}'", "an attachment of another type than SGT has no "
                  "device: skip it, or mark this if all are SGT", "walk",
                  code=f"if (!dma_buf_is_sgt({names[0]}))\n\tcontinue;")
        if len(self.findings) > before:
            self.walked |= {j: names for j in range(body, end + 1)}

    def uses(self, f, name, body, end):
        """Does a loop use the device, or hand the attachment on?"""
        for j in range(body, end + 1):
            if f.text(j) != name or f.text(j - 1) in ("->", "."):
                continue
            if f.text(j + 1) == "->" and f.text(j + 2) == "dev":
                return True
            opener = f.up[j]
            if f.text(j - 1) in ("(", ",") and f.text(j + 1) in (")", ",") and f.text(opener) == "(" and \
                    f.kind(opener - 1) == "id" and not re.match(r"dma_buf_|if$|while$|list_", f.text(opener - 1)):
                return True
        return False

    def statement_end(self, f, i):
        """The last token of the statement that begins at i."""
        if f.text(i) == "{":
            return f.close(i)
        if f.text(i + 1) == "(" and (f.text(i) in ("if", "for", "while", "switch") or "for_each" in f.text(i)):
            end = self.statement_end(f, f.close(i + 1) + 1)
            return self.statement_end(f, end + 2) if f.text(end + 1) == "else" else end
        while i < len(f.tokens) - 1 and f.text(i) != ";":
            i = f.close(i) + 1 if f.text(i) in ("(", "{", "[") else i + 1
        return i

    def walk_around(self, f, start, i):
        """Is this the device of a loop's attachment, or of the first of a list?"""
        if f is self.source.code and f.text(start) in self.walked.get(i, ()):
            return True
        if "attachments" in f.words(start, i) and not self.decided(self.source.line(f.tokens[i].start), "walk"):
            self.find(f.tokens[i], f"'{self.slice(f, start, i)}'", "an attachment of another type than SGT has no device: "
                      "check dma_buf_is_sgt(), and mark this", "walk")
            return True
        return False

    # ------------------------------------------------------------------ peer2peer

    def peer2peer(self, f, i):
        token, before = f.tokens[i], f.text(i - 1)
        if before == "," and self.names_struct(f, i, ATTACHMENT):
            return self.find(token, "'peer2peer' of dma_buf_attachment", "the member is gone: the match decides about P2P, "
                             "ask dma_buf_sgt_p2p_allowed()", "peer2peer", ("peer2peer",))
        start = self.types.start(f, i - 2) if before in ("->", ".") else -1
        if before not in ("->", "."):
            return self.explain(token)
        type_ = self.types.of(self.source, f, start, i - 2) if start >= 0 else None
        if type_ and type_[0] != ATTACHMENT or start < 0 and self.path_start(f, i) >= 0:
            return self.explain(token)
        operand = self.operand(f, start, i)[0] if start >= 0 else "attach"
        self.find(token, f"'{self.slice(f, max(start, 0), i)}'", "the match decides about P2P: ask "
                  f"dma_buf_sgt_p2p_allowed({operand})", "peer2peer", ("peer2peer",))


def token_line(source, token):
    """A token with the arguments behind it, in one line."""
    line = source.text[token.start:].split("\n", 1)[0]
    return " ".join(line.split())[:70].rstrip(" {")


# ---------------------------------------------------------------- a whole driver

def is_definition(f, i):
    """Is this the name of a function that is defined here?"""
    return f.up[i] < 0 and f.text(i + 1) == "(" and f.text(f.close(i + 1) + 1) == "{"


def is_fallback(f, i):
    """Does a function that is defined here call another one of the kernel's, for a kernel that lacks it?"""
    body = f.close(i + 1) + 1
    return bool({*f.words(body, f.close(body))} & ({*OLD_NAMES, *map(new_name, OLD_NAMES)} - {f.text(i)}))


def private_core(source):
    """(line, what) if a file defines DMA-buf itself, else None."""
    f = source.code
    for i, token in enumerate(f.tokens):
        if token.text in ("dma_buf_attachment", "dma_buf_ops", "dma_buf") and f.text(i - 1) == "struct" and \
                f.text(i + 1) == "{":
            return source.line(token.start), f"struct {token.text}"
        if token.text in OLD_NAMES and is_definition(f, i) and not is_fallback(f, i) and \
                not source.dead(token.start) and not source.without_dma_buf(token.start):
            return source.line(token.start), f"{token.text}()"
    for macro in source.macros:
        words = {t.text for t in macro.tokens} - {macro.name}
        if macro.name in OLD_NAMES and not words & {*OLD_NAMES, *map(new_name, OLD_NAMES)} and \
                not source.dead(macro.start) and not source.for_old(macro.start):
            return source.line(macro.start), f"#define {macro.name}"
    return None


def blanked(text):
    """Comments and strings as spaces; everything stays where it is."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m[0]) if m.lastgroup in ("comment", "str") else m[0]
    return convert_c.TOKEN.sub(blank, text)


def swept(analysis):
    """The plain sweep over a file of C: what neither an edit nor a finding speaks of."""
    source, known = analysis.source, analysis.explained | {start for start, _, _ in analysis.edits}
    known_lines = {finding.line for finding in analysis.findings}
    for m in SWEEP.finditer(blanked(source.text)):
        at = m.end() - 3 if m[0].endswith("dev") and "dma_buf" not in m[0] else m.start()
        line = source.line(at)
        if at not in known and line not in known_lines and not source.for_old(at) and \
                not analysis.decided(line, "name"):
            yield Finding(source.path, line, f"'{' '.join(m[0].split())}'", "not understood: convert it by hand", "name",
                          (source.path, "name", m[0]), note=source.dead(at))


def renamed_comments(source):
    """Edits for the names in comments."""
    for comment in convert_c.comments_of(source.text):
        if not source.for_old(comment.start()) and not MARK.search(comment[0]):
            for m in NAMES.finditer(comment[0]):
                start = comment.start() + m.start()
                yield start, start + len(m[0]), new_name(m[0])


