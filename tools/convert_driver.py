# SPDX-License-Identifier: GPL-2.0
"""The files of a driver: which ones tools/convert reads, and what they declare."""

import os
import re
from pathlib import Path

import convert_c
from convert_types import ATTACHMENT, KERNEL_MEMBERS, Declared, nearest

OLD_NAMES = ("dma_buf_attach", "dma_buf_dynamic_attach", "dma_buf_map_attachment", "dma_buf_unmap_attachment",
             "dma_buf_map_attachment_unlocked", "dma_buf_unmap_attachment_unlocked")
OLD = r"\bdma_buf_(?:attach|dynamic_attach|(?:un)?map_attachment(?:_unlocked)?)\b"
CALLBACK = r"\b(?:un)?map_dma_buf\b"
P2P = r"(?<!allow_)\bpeer2peer\b"
DEVICE = r"\b(?:\w*att?|\w*attach\w*)\s*(?:\)\s*)*(?:->|\.)\s*dev\b"
# Every old name, and what looks like the device of an attachment
SWEEP = re.compile(f"{OLD}|{CALLBACK}|{P2P}|{DEVICE}")
# What a file must have in it to be looked at: plain words first, for they are found fast
WORDS = (b"dma_buf_", b"DMA_BUF_", b"map_dma_buf", b"peer2peer", b"PEER2PEER", b"DYNAMIC_ATTACH", b"MAP_ATTACHMENT")
READ = re.compile(rb"dma_buf_(?:attach|dynamic_attach|(?:un)?map_attach|ops\b|mapping_|sgt_|is_sgt|get_sgt|\w*\s*##)|"
                  rb"map_dma_buf|peer2peer|PEER2PEER|DYNAMIC_ATTACH|MAP_ATTACHMENT|"
                  rb"DMA_BUF_(?:ATTACH|MAP|SIMPLE|[EI]MAPPING)")
LIKE_DEVICE = re.compile(rb"at(?:t(?:ach\w*)?)?\s*(?:\)\s*)*(?:->|\.)\s*dev\b")
C_FILE = re.compile(r"\.(?:[ch]|inc|cc|cpp|hpp|hh)(?:\.in)?$|\.[ch]xx$")
NOT_OURS = re.compile(r"\.(?:git|svn|hg|tmp_versions)$|\.cmd$|\.mod\.c$|\.(?:o|ko|i|s|orig|rej|symvers|order)$|^tags$|^cscope\.")
DOCUMENT = re.compile(r"\.(?:md|rst|adoc|html|patch|diff|[1-9])$|(?<!CMakeLists)\.txt$|^(?:README|NEWS|ChangeLog|COPYING|LICENSE)", re.I)
# Each begins with a plain word, for such are found fast
DEFINES = [(f"{word} ", re.compile(word + r"\s+(\w+)\s*(?:__\w+\s*)*\{")) for word in ("struct", "union")] + \
    [("", re.compile(r"\}\s*(?:__\w+\s*)*\**(\w+)\s*;")), ("", re.compile(r"typedef\s+[\w \t]+?[\s*](\w+)\s*;"))]
COMPAT = "dma-buf-compat.h"


def entries_of(paths):
    """Every file and link below the paths, in order, without what version control and builds leave."""
    def unreadable(err):
        raise err

    for top in paths:
        if top.is_file():
            yield top
            continue
        for where, directories, names in os.walk(top, onerror=unreadable):
            directories[:] = sorted(d for d in directories if not NOT_OURS.search(d))
            links = [d for d in directories if Path(where, d).is_symlink()]
            yield from (Path(where, name) for name in sorted([*names, *links]) if not NOT_OURS.search(name))


def files_of(paths):
    return (path for path in entries_of(paths) if path.is_file() and (path in paths or not path.is_symlink()))


def links_out(paths):
    """(link, target) of each link to what is not below the paths, and so is not read."""
    tops = [top.resolve() for top in paths]
    for path in entries_of(paths):
        target = path.resolve()
        if path not in paths and path.is_symlink() and target.exists() and \
                not any(target.is_relative_to(top) for top in tops):
            yield path, target


def decoded(data):
    return data.decode("utf-8", "surrogateescape")


class Source(convert_c.Source):
    """A file of C, with what it declares."""

    def __init__(self, path, text):
        super().__init__(path, text)
        self.found, self.explained = None, {}

    def declared(self):
        if self.found is None:
            self.found = Declared(self)
        return self.found


class Driver:
    """What all files of a driver declare, read as far as it is asked for."""

    def __init__(self, paths):
        self.sources, self.texts, self.others = {}, {}, []
        self.headers, self.kinds = None, {}
        for path in files_of(paths):
            self.look(path)
        self.follow_names()

    def look(self, path):
        """Read a file if it has to do with DMA-buf."""
        data = path.read_bytes()
        is_c = bool(C_FILE.search(path.name))
        known = any(word in data for word in WORDS)
        if is_c and b"\0" not in data and (known and READ.search(data) or LIKE_DEVICE.search(data)):
            self.add(path, decoded(data))
        elif is_c:
            self.others.append(path)
        elif known and b"\0" not in data[:8192] and SWEEP.search(decoded(data)):
            self.texts[path] = decoded(data)

    def add(self, path, text):
        self.sources[path] = Source(path, text)
        self.kinds = {}

    def replace(self, path, text):
        """Look at a file as it is after the conversion."""
        self.add(path, text)

    # ---------------------------------------------- files that do not say dma_buf

    def follow_names(self):
        """Files that reach an attachment by a name that another file declares."""
        seen = set()
        while new := self.names_of_attachments() - seen:
            seen |= new
            wanted = re.compile(rb"\b(?:" + b"|".join(re.escape(n.encode()) for n in sorted(new)) + rb")\b")
            for path in list(self.others):
                data = path.read_bytes()
                if re.search(rb"(?:->|\.)\s*dev\b", data) and wanted.search(data):
                    self.others.remove(path)
                    self.add(path, decoded(data))

    def names_of_attachments(self):
        """Members, functions, types and macros through which one comes to an attachment."""
        found = {"import_attach"}
        for source in self.sources.values():
            declared = source.declared()
            tables = [declared.names, declared.typedefs, *declared.structs.values()]
            found |= {name for table in tables for name, type_ in table.items() if type_[0] == ATTACHMENT}
        for source in self.sources.values():
            found |= {m.name for m in source.macros if any(
                m.text(i) in found and m.text(i - 1) in ("->", ".") for i in range(len(m.tokens)))}
        return found

    # ------------------------------------------------------------ what is declared

    def table(self, kind):
        """name -> [source] of all that is read."""
        if kind not in self.kinds:
            table = self.kinds[kind] = {}
            for source in self.sources.values():
                names = {m.name for m in source.macros} if kind == "macros" else getattr(source.declared(), kind)
                for name in names:
                    table.setdefault(name, []).append(source)
        return self.kinds[kind]

    def where(self, kind, name, near):
        """The source that declares a name; the nearest if there are some."""
        found = self.table(kind).get(name)
        if not found and kind in ("structs", "typedefs") and self.load(name):
            found = self.table(kind).get(name)
        if not found:
            return None
        by_path = {source.path: source for source in found}
        return by_path.get(near.path) or by_path[nearest(by_path, near.path)]

    def load(self, name):
        """Read the header that defines a struct or typedef."""
        if self.headers is None:
            self.headers = {}
            for path in self.others:
                if path.suffix not in (".c", ".cc", ".cpp"):
                    self.index(path, decoded(path.read_bytes()))
        paths = self.headers.pop(name, [])
        for path in paths[:8]:
            if path not in self.sources:
                self.add(path, decoded(path.read_bytes()))
        return bool(paths)

    def index(self, path, text):
        """Note what a header defines."""
        for kind, pattern in DEFINES:
            for m in pattern.finditer(text):
                self.headers.setdefault(kind + m[1], []).append(path)

    def typedef(self, name, near):
        if " " in name:
            return None
        source = self.where("typedefs", name, near)
        return source and source.declared().typedefs[name]

    def struct(self, name, near):
        source = self.where("structs", name, near)
        return source.declared().structs[name] if source else KERNEL_MEMBERS.get(name)

    def name(self, name, near):
        source = self.where("names", name, near)
        return source and source.declared().names[name]

    def macro(self, name, near):
        source = self.where("macros", name, near)
        return [(source, m) for m in source.macros if m.name == name] if source else []

    def types_of_member(self, name):
        """All types that a member of this name has, in any struct."""
        return {structs[name] for source in self.sources.values()
                for structs in source.declared().structs.values() if name in structs} | \
            {members[name] for members in KERNEL_MEMBERS.values() if name in members and name.startswith("import_")}

    def has_private_callbacks(self):
        return any("map_dma_buf" in members or "unmap_dma_buf" in members for source in self.sources.values()
                   for members in source.declared().structs.values())
