# SPDX-License-Identifier: GPL-2.0
"""What type an expression of a driver has, as far as tools/convert must know.

A type is (name, depth): ("struct dma_buf_attachment", 1) is a pointer to one.
Arrays count as pointers, and a function has the type that it returns. None is a
type that nobody told us.
"""

import os
import re
from dataclasses import dataclass

ATTACHMENT = "struct dma_buf_attachment"
OPS = "struct dma_buf_ops"
EXP_OPS = "struct dma_buf_mapping_sgt_exp_ops"
QUALIFIERS = {"const", "volatile", "static", "extern", "inline", "register", "restrict", "noinline",
              "asmlinkage", "notrace", "typedef", "auto", "_Atomic"}
BASIC = {"void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "bool", "_Bool"}
KEYWORDS = {"return", "goto", "else", "case", "default", "if", "for", "while", "do", "switch", "sizeof",
            "break", "continue", "asm", "__asm__"}
TYPEOF = {"typeof", "__typeof__", "__typeof", "typeof_unqual"}
SAME = re.compile(r"READ_ONCE|ACCESS_ONCE|rcu_\w*dereference\w*|smp_load_acquire|likely|unlikely|no_free_ptr"
                  r"|return_ptr|get_\w*attachment|ERR_CAST")

# What the kernel's own headers declare, as far as it leads to an attachment.
KERNEL_MEMBERS = {
    "struct drm_gem_object": {"import_attach": (ATTACHMENT, 1), "dma_buf": ("struct dma_buf", 1)},
    "struct drm_gem_dma_object": {"base": ("struct drm_gem_object", 0)},
    "struct drm_gem_shmem_object": {"base": ("struct drm_gem_object", 0)},
    "struct ttm_buffer_object": {"base": ("struct drm_gem_object", 0)},
    "struct virtio_dma_buf_ops": {"ops": (OPS, 0)},
    "struct ib_umem_dmabuf": {"attach": (ATTACHMENT, 1)},
    "struct host1x_bo_mapping": {"attach": (ATTACHMENT, 1)},
    "struct dma_buf": {"ops": (OPS, 1), "priv": ("void", 1)},
    "struct dma_buf_export_info": {"ops": (OPS, 1)},
    ATTACHMENT: {"dmabuf": ("struct dma_buf", 1), "dev": ("struct device", 1), "priv": ("void", 1)},
}
KERNEL_NAMES = {name: (ATTACHMENT, 1) for name in (
    "dma_buf_attach", "dma_buf_dynamic_attach", "dma_buf_sgt_attach", "dma_buf_sgt_dynamic_attach",
    "dma_buf_mapping_attach")} | {"dma_buf_get_sgt_ops": (EXP_OPS, 1), "dma_buf_get": ("struct dma_buf", 1)}


@dataclass
class Decl:
    """A name and where it is visible, as tokens [start, end)."""
    name: str
    type: tuple
    start: int
    end: int
    function: bool


# -------------------------------------------------------------- declarations

def skip_qualifiers(f, i):
    while True:
        if f.text(i) in QUALIFIERS:
            i += 1
        elif f.text(i) in ("__attribute__", "__aligned", "__printf") and f.text(i + 1) == "(":
            i = f.close(i + 1) + 1
        elif f.text(i).startswith("__") and f.text(i) not in TYPEOF and f.text(i) != "__auto_type" and \
                (f.kind(i + 1) == "id" or f.text(i + 1) in ("*", "{")):
            i += 1
        else:
            return i


def specifier(f, i):
    """(name of the type, { of its body or -1, what follows), or None."""
    i = skip_qualifiers(f, i)
    word, body = f.text(i), -1
    if word in ("struct", "union", "enum"):
        j = skip_qualifiers(f, i + 1)
        name = f"{word} @{f.tokens[i].start}"
        if f.kind(j) == "id":
            name, j = f"{word} {f.text(j)}", j + 1
        if f.text(j) == "{":
            body, j = j, f.close(j) + 1
        return name, body, j
    if word in TYPEOF and f.text(i + 1) == "(":
        return ("=", i + 2, f.close(i + 1)), -1, f.close(i + 1) + 1
    if word in BASIC:
        while f.text(i) in BASIC or f.text(i) in QUALIFIERS:
            i += 1
        return word, -1, i
    if f.kind(i) == "id" and word not in KEYWORDS:
        return word, -1, i + 1
    return None


def declarator(f, i):
    """(index of the name or -1, depth, what follows), or None."""
    depth = 0
    while f.text(i) == "*" or f.text(i) in QUALIFIERS or \
            (f.text(i).startswith("__") and f.kind(i + 1) == "id"):
        depth += f.text(i) == "*"
        i += 1
    if f.text(i) == "(" and f.text(i + 1) == "*":
        name = next((j for j in range(i + 2, f.close(i)) if f.kind(j) == "id" and f.text(j) not in QUALIFIERS), -1)
        depth += f.words(i, f.close(i)).count("[")
        i = f.close(i) + 1
    elif f.kind(i) == "id":
        name, i = i, i + 1
    else:
        return (-1, depth, i) if depth else None
    while f.text(i) in ("[", "("):
        depth += f.text(i) == "["
        i = f.close(i) + 1
    while f.text(i).startswith("__") and f.kind(i) == "id":
        i = f.close(i + 1) + 1 if f.text(i + 1) == "(" else i + 1
    return name, depth, i


def skip_value(f, i):
    """Behind an initialiser or the width of a field."""
    while i < len(f.tokens) and f.text(i) not in (",", ";", ")", "}"):
        i = f.close(i) + 1 if f.text(i) in ("(", "[", "{") else i + 1
    return i


def declaration(f, i, one=False):
    """(type name, body, [(index of name, depth)], what follows), or None."""
    found = specifier(f, i)
    if not found:
        return None
    base, body, i = found
    names = []
    while named := declarator(f, i):
        name, depth, i = named
        if f.text(i) not in (",", ";", "=", ")", ":", "{", ""):
            return None
        if name >= 0:
            names.append((name, depth, i))
        if f.text(i) in ("=", ":"):
            i = skip_value(f, i + 1)
        if one or f.text(i) != ",":
            break
        i += 1
    if not names and body < 0:
        return None
    return base, body, names, i


# --------------------------------------------------------- what a file declares

class Declared:
    """Scopes, structs, typedefs of a file."""

    def __init__(self, source):
        self.source, self.f = source, source.code
        self.structs, self.typedefs, self.names = {}, {}, {}
        self.scopes = {}        # name -> declarations of it in this file
        for i in range(len(self.f.tokens)):
            if self.begins(i):
                self.declare(i)

    def begins(self, i):
        """Can a declaration begin here?"""
        before = self.f.text(i - 1)
        if self.f.kind(i) != "id":
            return False
        if before in ("", ";", "{", "}", ":"):
            return True
        if before in ("(", ","):
            opener = self.f.up[i]
            return opener >= 0 and self.f.text(opener) == "(" and \
                (self.is_head(opener) or self.f.text(opener - 1) == "for")
        return False

    def is_head(self, opener):
        """The parameters of a function, outside of all others."""
        return self.f.kind(opener - 1) == "id" and self.f.body(opener) < 0 and \
            (self.f.brace(opener) < 0 or self.f.kind(self.f.brace(opener) - 1) == "str")

    def declare(self, i):
        param = self.f.text(i - 1) in ("(", ",") and self.f.text(self.f.up[i]) == "(" and \
            self.f.text(self.f.up[i] - 1) != "for"
        found = declaration(self.f, i, one=param)
        if not found:
            return
        base, body, names, _ = found
        if body >= 0:
            self.struct(self.own(base), body)
        end = self.end_of(i, param)
        for name, depth, after in names:
            self.name(i, name, (self.typed(base, after), depth), end)

    def own(self, base):
        """A struct without a name is that of this file."""
        return f"{base} {self.source.path}" if "@" in base else base

    def typed(self, base, after):
        if base == "__auto_type":
            return ("=", after + 1, skip_value(self.f, after + 1))
        return base if isinstance(base, tuple) else self.own(base)

    def end_of(self, i, param):
        """Where the scope of what is declared here ends."""
        if not param:
            around = self.f.brace(i)
            return self.f.close(around) if around >= 0 else len(self.f.tokens)
        opener = self.f.up[i]
        while self.f.text(self.f.up[opener]) == "(" and self.f.up[opener] >= 0:
            opener = self.f.up[opener]      # TRACE_EVENT(): the whole of it
        end = self.f.close(opener)
        brace = end + 1
        while self.f.kind(brace) == "id":
            brace += 1
        return self.f.close(brace) if self.f.text(brace) == "{" else end

    def name(self, start, index, type_, end):
        text = self.f.text(index)
        if self.is_typedef(start):
            self.typedefs[text] = type_
        else:
            self.scopes.setdefault(text, []).append(
                Decl(text, type_, start, end, self.f.text(index + 1) == "("))
            if end == len(self.f.tokens):
                self.names.setdefault(text, type_)

    def is_typedef(self, i):
        return any(self.f.text(j) == "typedef" for j in range(i, min(i + 3, len(self.f.tokens)))
                   if self.f.text(j) in QUALIFIERS)

    def struct(self, name, body):
        members = self.structs.setdefault(name, {})
        members.update(self.members(body))

    def members(self, body):
        found, i, end = {}, body + 1, self.f.close(body)
        while i < end:
            one = declaration(self.f, i)
            if one:
                base, inner, names, after = one
                if inner >= 0:
                    self.struct(self.own(base), inner)
                    if not names:
                        found |= self.structs[self.own(base)]
                found |= {self.f.text(name): (self.typed(base, 0), depth) for name, depth, _ in names}
                i = max(after, i)
            while i < end and self.f.text(i) != ";":
                i = self.f.close(i) + 1 if self.f.text(i) in ("(", "[", "{") else i + 1
            i += 1
        return found

    def lookup(self, name, at):
        """The innermost declaration of a name that is visible at a token."""
        seen = [d for d in self.scopes.get(name, ()) if d.start <= at <= d.end]
        return max(seen, key=lambda d: d.start, default=None)


# --------------------------------------------------------------- expressions

class Types:
    """Types of expressions. The driver says what its files declare."""

    def __init__(self, driver):
        self.driver = driver

    def resolved(self, type_, near):
        """Behind all typedefs; None stays None."""
        for _ in range(8):
            if not type_ or isinstance(type_[0], tuple):
                return None
            base, depth = type_
            alias = self.driver.typedef(base, near)
            if not alias:
                return type_
            type_ = alias[0], alias[1] + depth
        return None

    def member(self, type_, name, near):
        if not type_:
            return None
        members = self.driver.struct(type_[0], near)
        return self.resolved(members.get(name), near) if members else None

    def start(self, f, i):
        """The first token of the postfix expression that ends at token i, or -1."""
        while True:
            if f.text(i) in (")", "]"):
                opener = f.match.get(i, -1)
                if opener < 0:
                    return -1
                before = opener - 1
                if f.text(i) == "]" or f.text(before) in (")", "]") and not self.is_cast(f, before) or \
                        f.kind(before) == "id" and f.text(before) not in KEYWORDS:
                    i = before
                    continue
                i = opener
            elif f.kind(i) != "id":
                return -1
            if f.text(i - 1) not in ("->", "."):
                return i
            i -= 2

    def is_cast(self, f, i):
        """Does the parenthesis that ends at i hold a type?"""
        opener = f.match.get(i, -1)
        if opener < 0 or f.text(i) != ")":
            return False
        words = f.words(opener + 1, i - 1)
        words = [w for w in words if w not in QUALIFIERS]
        return bool(words) and (words[0] in ("struct", "union", "enum") or words[0] in BASIC or
                                words[-1] == "*" and len(words) > 1)

    def of(self, source, f, first, last, known=None, depth=0):
        """The type of the expression in tokens [first, last]."""
        if first > last or depth > 12 or first < 0:
            return None
        text = f.text(first)
        if text == "(" and f.match.get(first) == last:
            return self.of(source, f, first + 1, last - 1, known, depth + 1)
        if text in ("*", "&"):
            inner = self.of(source, f, first + 1, last, known, depth + 1)
            return inner and (inner[0], inner[1] + (1 if text == "&" else -1))
        if text == "(" and self.is_cast(f, f.close(first)):
            return self.named(source, f, first + 1, f.close(first) - 1)
        for i, operator in self.operators(f, first, last):
            if operator == "?":
                return self.of(source, f, i + 1, self.colon(f, i, last) - 1, known, depth + 1)
            return self.of(source, f, i + 1, last, known, depth + 1) if operator == "," else \
                self.of(source, f, first, i - 1, known, depth + 1)
        return self.postfix(source, f, first, last, known, depth)

    @staticmethod
    def operators(f, first, last):
        i = first
        while i <= last:
            if f.text(i) in ("?", ",", "=", "+", "-"):
                yield i, f.text(i)
            i = f.close(i) + 1 if f.text(i) in ("(", "[", "{") and f.close(i) >= i else i + 1

    @staticmethod
    def colon(f, i, last):
        return next((j for j in range(i, last + 1) if f.text(j) == ":"), last + 1)

    def named(self, source, f, first, last):
        """The type that these tokens name."""
        found = specifier(f, first)
        if not found or isinstance(found[0], tuple):
            return None
        depth = f.words(first, last).count("*")
        return self.resolved((found[0], depth), source)

    def postfix(self, source, f, first, last, known, depth):
        """A name or parenthesis, and what is behind it."""
        i = first
        if f.text(i) == "(":
            end = f.close(i)
            # (*pointer)(): the star of a pointer to a function means nothing
            star = f.text(i + 1) == "*" and f.text(end + 1) == "(" and end < last
            type_ = self.of(source, f, i + 1 + star, end - 1, known, depth + 1)
            i = end + 1
        elif f.kind(i) == "id":
            type_, i = self.primary(source, f, i, last, known, depth)
        else:
            return None
        while i <= last:
            if f.text(i) in ("->", "."):
                type_ = self.member(type_, f.text(i + 1), source)
                i += 2
            elif f.text(i) in ("[", "("):
                if f.text(i) == "[" and type_:
                    type_ = type_[0], type_[1] - 1
                i = f.close(i) + 1
            else:
                return None
        return type_

    def primary(self, source, f, i, last, known, depth):
        """(type, what follows) of a name, or of a call of it."""
        name, call = f.text(i), f.text(i + 1) == "(" and i < last
        if known and name in known and not call:
            return known[name], i + 1
        declared = None if f is not source.code else source.declared().lookup(name, i)
        if declared:
            return self.declared_type(source, f, declared, depth), i + 1
        if call:
            after = f.close(i + 1) + 1
            args = list(f.split(i + 2, after - 1))
            return self.called(source, f, name, args, known, depth), after
        return self.resolved(KERNEL_NAMES.get(name) or self.driver.name(name, source), source), i + 1

    def declared_type(self, source, f, declared, depth):
        base, stars = declared.type
        if isinstance(base, tuple):     # typeof() or __auto_type
            _, first, end = base
            found = self.named(source, f, first, end - 1) if f.text(first) in ("struct", "union") else \
                self.of(source, f, first, end - 1, None, depth + 1)
            return found and (found[0], found[1] + stars)
        return self.resolved(declared.type, source)

    def called(self, source, f, name, args, known, depth):
        if found := KERNEL_NAMES.get(name) or self.driver.name(name, source):
            return self.resolved(found, source)
        if SAME.fullmatch(name) and args:
            return self.of(source, f, *args[0], known, depth + 1)
        for where, macro in self.driver.macro(name, source):
            if macro.params or not args:
                bound = {p: self.of(source, f, *a, known, depth + 1) for p, a in zip(macro.params, args)}
                if found := self.of(where, macro, 0, len(macro.tokens) - 1, bound, depth + 1):
                    return found
        # container_of(), list_first_entry(): an argument names the type
        for first, last in args[1:]:
            if f.text(first) in ("struct", "union") and last == first + 1:
                return f"{f.text(first)} {f.text(last)}", 1
            if f.text(first) in TYPEOF and f.text(first + 2) == "*":
                return self.of(source, f, first + 3, last - 1, known, depth + 1) and \
                    (self.of(source, f, first + 3, last - 1, known, depth + 1)[0], 1)
        return None


def nearest(paths, near):
    """The path that has most directories in common with another one."""
    return max(paths, key=lambda path: len(os.path.commonprefix([str(path), str(near)])))
