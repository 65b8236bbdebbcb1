# SPDX-License-Identifier: GPL-2.0
"""Shapes of real drivers that tools/convert has to read right: what it converts,
what it reports, and what it must not mention. With --table: each shape, what is
expected of it, and what came out."""

import io
import re
import sys
import textwrap
import unittest

from test_convert import EXPORTER, Convert

ATTACHMENT = "struct dma_buf_attachment"
OPS = """\
static const struct dma_buf_ops my_ops = {
	.map_dma_buf = my_map,
	.unmap_dma_buf = my_unmap,
	.release = my_release,
};
"""
SGT = "DMA_BUF_SIMPLE_SGT_EXP_MATCH(my_map, my_unmap),\n"


def in_lines(numbers):
    """Where something is left."""
    lines = ", ".join(map(str, numbers))
    return f"line {lines}" if lines else "0 left"


class Shape(Convert):
    """Most shapes are files, what they become, and what is said about them."""

    rows = []       # (shape, expected, actual, kinds) of all that have run

    def row(self, expected, actual, said):
        kinds = dict.fromkeys(re.findall(r"\[([\w-]+)\]$", "\n".join(said), re.M))
        shape = f"{type(self).__name__}: {self._testMethodName[5:].replace('_', ' ')}"
        self.rows.append((shape, expected, actual, " ".join(kinds)))

    def becomes(self, before, after, name="driver.c", **others):
        """Converts to exactly this, and nothing is left."""
        for other, text in others.items():
            self.write(text, other.replace("_h", ".h"))
        path = self.write(before, name)
        done = self.run_it()
        said, text = self.said(done), path.read_text()
        self.row(f"{'stays' if after == before else 'converted'}, 0 left",
                 f"{'stays' if text == before else 'converted' if text == after else 'other text'}, {len(said)} left", said)
        self.assertEqual((done.returncode, said), (0, []), done.stderr)
        self.assertEqual(text, after)
        self.assertIn("0 uses left", done.stdout)
        return done

    def says(self, text, *wanted, name="driver.c"):
        """Each wanted line is said once, as (line, words...); nothing else is."""
        path = self.write(text, name)
        done = self.run_it()
        said = self.said(done)
        self.row(in_lines(number for number, *_ in wanted), in_lines(
            line.removeprefix(f"{path}:").split(":")[0] for line in said), said)
        self.assertEqual(len(said), len(wanted), done.stderr)
        for line, (number, *words) in zip(said, wanted):
            self.assertTrue(line.startswith(f"{path}:{number}: "), line)
            for word in words:
                self.assertIn(word, done.stderr)
        self.assertEqual(done.returncode, 1 if wanted else 0, done.stderr)
        if wanted:
            self.assertNotIn(" 0 uses left", done.stdout)
        return done

    @staticmethod
    def said(done):
        """What is left, without notes and the code that is suggested."""
        return [line for line in done.stderr.splitlines()
                if not line.startswith(("\t", "convert:")) and ": note: " not in line]

    @staticmethod
    def notes(done):
        return [line for line in done.stderr.splitlines() if ": note: " in line]


class Initialisers(Shape):
    def test_if_around_another_field(self):
        field = "#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\n\t.cache_sgt_mapping = true,\n#endif\n"
        for place in ("\t.map_dma_buf", "\t.unmap_dma_buf", "\t.release"):
            with self.subTest(place=place):
                self.becomes(OPS.replace(place, field + place), OPS.replace(
                    "\t.map_dma_buf = my_map,\n", (field if "\t.map" in place else "") + "\t" + SGT +
                    (field if "\t.unmap" in place else "")).replace("\t.unmap_dma_buf = my_unmap,\n", "")
                    .replace("\t.release", field + "\t.release" if "rel" in place else "\t.release"))

    def test_each_variant_has_both(self):
        both = "\t.map_dma_buf = {0}map,\n\t.unmap_dma_buf = {0}unmap,\n"
        text = "struct dma_buf_ops o = {{\n#ifdef A\n{}#elif defined(B)\n{}#else\n{}#endif\n}};\n"
        self.becomes(text.format(*(both.format(x) for x in "abc")),
                     text.format(*(f"\tDMA_BUF_SIMPLE_SGT_EXP_MATCH({x}map, {x}unmap),\n" for x in "abc")))

    def test_variants_that_share_a_callback(self):
        self.says("struct dma_buf_ops o = {\n#ifdef A\n\t.map_dma_buf = a,\n#else\n\t.map_dma_buf = b,\n#endif\n"
                  "\t.unmap_dma_buf = u,\n};\n", (3, "both in each branch"))

    def test_unmap_first_and_no_comma(self):
        self.becomes("struct dma_buf_ops o = { .unmap_dma_buf = u, .map_dma_buf = m };\n",
                     "struct dma_buf_ops o = { DMA_BUF_SIMPLE_SGT_EXP_MATCH(m, u) };\n")
        self.becomes("struct dma_buf_ops o = { .map_dma_buf = m, .unmap_dma_buf = u };\n",
                     "struct dma_buf_ops o = { DMA_BUF_SIMPLE_SGT_EXP_MATCH(m, u), };\n")

    def test_old_style_of_initialiser(self):
        self.becomes("struct dma_buf_ops o = {\n\tmap_dma_buf: f,\n\tunmap_dma_buf: g,\n};\n",
                     "struct dma_buf_ops o = {\n\tDMA_BUF_SIMPLE_SGT_EXP_MATCH(f, g),\n};\n")

    def test_nested_in_a_struct(self):
        text = "struct my_exp {\n\tint a;\n\tstruct dma_buf_ops ops;\n};\nstatic struct my_exp e = {\n\t.a = 1,\n" \
               "\t.ops = {\n\t\t.map_dma_buf = my_map,\n\t\t.unmap_dma_buf = my_unmap,\n\t},\n};\n"
        self.becomes(text, text.replace("\t\t.map_dma_buf = my_map,\n\t\t.unmap_dma_buf = my_unmap,\n", "\t\t" + SGT))

    def test_array(self):
        text = "struct dma_buf_ops o[] = {\n\t[0] = { .map_dma_buf = a, .unmap_dma_buf = b, },\n" \
               "\t{ .map_dma_buf = c, .unmap_dma_buf = d, },\n};\n"
        self.becomes(text, "struct dma_buf_ops o[] = {\n\t[0] = { DMA_BUF_SIMPLE_SGT_EXP_MATCH(a, b), },\n"
                     "\t{ DMA_BUF_SIMPLE_SGT_EXP_MATCH(c, d), },\n};\n")

    def test_without_the_name_of_the_field(self):
        text = "struct my_exp {\n\tint a;\n\tstruct dma_buf_ops ops;\n};\nstatic struct my_exp e[] = {\n" \
               "\t{ 1, { .map_dma_buf = my_map, .unmap_dma_buf = my_unmap, .release = r } },\n};\n"
        self.becomes(text, text.replace(".map_dma_buf = my_map, .unmap_dma_buf = my_unmap,", SGT.strip()))

    def test_bracket_behind_what_goes(self):
        self.becomes("struct dma_buf_ops o = { .map_dma_buf = m,\n\t\t\t .unmap_dma_buf = u };\n",
                     "struct dma_buf_ops o = { DMA_BUF_SIMPLE_SGT_EXP_MATCH(m, u), };\n")

    def test_compound_literal(self):
        self.becomes("static const struct my m = {\n\t.ops = &(const struct dma_buf_ops){\n\t\t.map_dma_buf = my_map,\n"
                     "\t\t.unmap_dma_buf = my_unmap,\n\t},\n};\n",
                     "static const struct my m = {\n\t.ops = &(const struct dma_buf_ops){\n\t\t" + SGT + "\t},\n};\n")

    def test_typedef(self):
        text = "typedef struct dma_buf_ops my_ops_t;\nstatic const my_ops_t o = {\n{}};\n"
        self.becomes(text.replace("{}", "\t.map_dma_buf = my_map,\n\t.unmap_dma_buf = my_unmap,\n"),
                     text.replace("{}", "\t" + SGT))

    def test_members_with_a_path(self):
        self.becomes("static struct virtio_dma_buf_ops o = {\n\t.ops.map_dma_buf = my_map,\n"
                     "\t.ops.unmap_dma_buf = my_unmap,\n\t.ops.release = r,\n\t.get_uuid = u,\n};\n",
                     "static struct virtio_dma_buf_ops o = {\n\t.ops = {\n\t\t" + SGT +
                     "\t\t.release = r,\n\t},\n\t.get_uuid = u,\n};\n")

    def test_members_in_a_macro(self):
        self.becomes("#define MY_OPS \\\n\t.map_dma_buf = my_map, \\\n\t.unmap_dma_buf = my_unmap, \\\n\t.release = r\n"
                     "static struct dma_buf_ops o = { MY_OPS };\n",
                     "#define MY_OPS \\\n\tDMA_BUF_SIMPLE_SGT_EXP_MATCH(my_map, my_unmap), \\\n\t.release = r\n"
                     "static struct dma_buf_ops o = { MY_OPS };\n")

    def test_whole_initialiser_in_a_macro(self):
        self.becomes("#define DEFINE_OPS(n) \\\nstatic const struct dma_buf_ops n##_ops = { \\\n"
                     "\t.map_dma_buf = n##_map, \\\n\t.unmap_dma_buf = n##_unmap, \\\n}\nDEFINE_OPS(my);\n",
                     "#define DEFINE_OPS(n) \\\nstatic const struct dma_buf_ops n##_ops = { \\\n"
                     "\tDMA_BUF_SIMPLE_SGT_EXP_MATCH(n##_map, n##_unmap), \\\n}\nDEFINE_OPS(my);\n")

    def test_inside_a_function(self):
        # The offer would be on the stack of a function that returns
        self.says("void f(struct dma_buf_ops *o)\n{\n\t*o = (struct dma_buf_ops){\n\t\t.map_dma_buf = my_map,\n"
                  "\t\t.unmap_dma_buf = my_unmap,\n\t};\n}\n", (4, "file scope", "my_map", "single_exporter_match"))

    def test_without_names(self):
        self.says("static struct dma_buf_ops o = {\n\tmy_attach, my_detach, my_map, my_unmap,\n};\n", (1, "by name"))

    def test_only_one(self):
        self.says("struct dma_buf_ops o = {\n\t.map_dma_buf = m,\n};\n", (2, "only one"))

    def test_comment_between_stays(self):
        text = "struct dma_buf_ops o = {\n\t.map_dma_buf = m, /* maps */\n\t/* undone */\n\t.unmap_dma_buf = u,\n};\n"
        self.becomes(text, "struct dma_buf_ops o = {\n\tDMA_BUF_SIMPLE_SGT_EXP_MATCH(m, u), /* maps */\n"
                     "\t/* undone */\n};\n")

    def test_private_table(self):
        self.says("struct my_table {\n\tint (*map_dma_buf)(int);\n\tint (*unmap_dma_buf)(int);\n};\n"
                  "static const struct my_table t = {\n\t.map_dma_buf = m,\n};\n"
                  "int f(struct my_table *t)\n{\n\tt->map_dma_buf = m;\n\treturn t->map_dma_buf(1);\n}\n")

    def test_new_offer(self):
        self.says("static const struct dma_buf_mapping_sgt_exp_ops o = {\n\t.map_dma_buf = m,\n\t.unmap_dma_buf = u,\n};\n"
                  f"void *f({ATTACHMENT} *a)\n{{\n\treturn dma_buf_get_sgt_ops(a)->map_dma_buf(a, 0);\n}}\n")


class Callbacks(Shape):
    def test_set_at_run_time(self):
        self.says("static struct dma_buf_ops my_ops;\nvoid f(void)\n{\n\tmy_ops.map_dma_buf = g;\n"
                  "\tmy_ops.unmap_dma_buf = h;\n}\n", (4, "run time", "single_exporter_match"))

    def test_called(self):
        self.says(f"void f({ATTACHMENT} *at)\n{{\n\tat->dmabuf->ops->map_dma_buf(at, 0);\n}}\n",
                  (3, "dma_buf_get_sgt_ops(at)"))

    def test_offsetof(self):
        self.says("int o = offsetof(struct dma_buf_ops, map_dma_buf);\n", (1, "map_dma_buf"))


class Devices(Shape):
    """attach->dev, wherever attach comes from."""

    def device(self, declarations, expression, attachment=None, **others):
        text = f"{declarations}void *f(struct my_obj *obj, struct my_obj val)\n{{\n\treturn {{}};\n}}\n"
        attachment = attachment or expression[:-len("->dev")]
        self.becomes(text.replace("{}", expression),
                     text.replace("{}", f"dma_buf_sgt_dma_device({attachment})"), **others)

    def test_member_whose_struct_is_in_a_header(self):
        header = f"struct my_obj {{\n\t{ATTACHMENT} *import_attach, *other;\n}};\n"
        self.device('#include "my.h"\n', "obj->other->dev", my_h=header)
        self.device('#include "my.h"\n', "val.import_attach->dev", my_h=header)

    def test_member_of_a_kernel_struct(self):
        self.device("struct my_obj {\n\tstruct drm_gem_object base;\n};\n", "obj->base.import_attach->dev")

    def test_chain_through_structs(self):
        self.device(f"struct in {{ {ATTACHMENT} *at; }};\nstruct my_obj {{ struct {{ struct in *in[2]; }} x; }};\n",
                    "obj->x.in[1]->at->dev")

    def test_value(self):
        self.device(f"{ATTACHMENT} *a;\n", "(*a).dev", "a")
        self.device(f"{ATTACHMENT} one;\n", "one.dev", "&one")

    def test_list_first_entry(self):
        self.device("", f"list_first_entry(&obj->list, {ATTACHMENT}, node)->dev")

    def test_cast_and_parentheses(self):
        self.device("", f"((({ATTACHMENT} *)obj->priv))->dev", f"({ATTACHMENT} *)obj->priv")

    def test_function(self):
        self.device(f"{ATTACHMENT} *my_get(int i);\n", "my_get(1)->dev")
        self.device(f"struct my_ops {{ {ATTACHMENT} *(*get)(int); }};\nextern struct my_ops ops;\n", "ops.get(1)->dev")
        self.device(f"struct my_ops {{ {ATTACHMENT} *(*get[2])(int); }};\nextern struct my_ops *o;\n", "o->get[1](1)->dev")
        self.device(f"struct my_ops {{ {ATTACHMENT} *(*get)(int); }};\nextern struct my_ops *o;\n", "(*o->get)(1)->dev")

    def test_typedef(self):
        self.device(f"typedef {ATTACHMENT} *at_t;\nstruct my_obj {{ at_t at; }};\n", "obj->at->dev")

    def test_two_declarations_in_a_line(self):
        self.becomes(f"void f(void)\n{{\n\t{ATTACHMENT} *a = g(1, 2), *b;\n\th(b->dev);\n}}\n",
                     f"void f(void)\n{{\n\t{ATTACHMENT} *a = g(1, 2), *b;\n\th(dma_buf_sgt_dma_device(b));\n}}\n")

    def test_declared_by_its_value(self):
        self.becomes(f"void f({ATTACHMENT} *x)\n{{\n\t__auto_type a = x;\n\ttypeof(x) b = x;\n\th(a->dev, b->dev);\n}}\n",
                     f"void f({ATTACHMENT} *x)\n{{\n\t__auto_type a = x;\n\ttypeof(x) b = x;\n"
                     "\th(dma_buf_sgt_dma_device(a), dma_buf_sgt_dma_device(b));\n}\n")

    def test_macro(self):
        text = f"#define AT_DEV(at) ((at)->dev)\nvoid *f({ATTACHMENT} *a)\n{{\n\treturn AT_DEV(a);\n}}\n"
        self.becomes(text, text.replace("((at)->dev)", "(dma_buf_sgt_dma_device(at))"))

    def test_macro_for_anything(self):
        self.says(f"#define DEV(x) ((x)->dev)\nvoid *f({ATTACHMENT} *a, struct mine *m)\n{{\n"
                  "\treturn DEV(a) ? DEV(a) : DEV(m);\n}\n", (1, "DEV"))

    def test_macro_that_nobody_uses_on_an_attachment(self):
        self.says("#define DEV(x) ((x)->dev)\nvoid *f(struct mine *m)\n{\n\treturn DEV(m);\n}\n")

    def test_member_of_the_device(self):
        text = f"void *f({ATTACHMENT} *a)\n{{\n\treturn &a->dev->kobj;\n}}\n"
        self.becomes(text, text.replace("a->dev", "dma_buf_sgt_dma_device(a)"))

    def test_spaces_and_lines(self):
        self.becomes(f"void f({ATTACHMENT} *a)\n{{\n\tg(a -> dev, a\n\t  ->dev);\n}}\n",
                     f"void f({ATTACHMENT} *a)\n{{\n\tg(dma_buf_sgt_dma_device(a), dma_buf_sgt_dma_device(a));\n}}\n")

    def test_same_name_of_another_type(self):
        text = "struct my_at { struct device *dev; };\n" \
               f"void *f({ATTACHMENT} *a)\n{{\n\treturn a->dev;\n}}\n\nvoid *g(struct my_at *a)\n{{\n\treturn a->dev;\n}}\n"
        self.becomes(text, text.replace("a->dev", "dma_buf_sgt_dma_device(a)", 1))

    def test_inner_block(self):
        text = f"void f({ATTACHMENT} *a)\n{{\n\tif (x) {{\n\t\tstruct mine *a = y;\n\t\tg(a->dev);\n\t}}\n\tg(a->dev);\n}}\n"
        self.becomes(text, text.replace("\tg(a->dev);\n}\n", "\tg(dma_buf_sgt_dma_device(a));\n}\n"))

    def test_two_heads_of_a_function(self):
        text = f"#ifdef A\nint f(struct dma_buf *b, {ATTACHMENT} *a)\n{{\n#else\nint f({ATTACHMENT} *a)\n{{\n#endif\n" \
               "\treturn g(a->dev);\n}\nint h(struct mine *a)\n{\n\treturn g(a->dev);\n}\n"
        self.becomes(text, text.replace("a->dev", "dma_buf_sgt_dma_device(a)", 1))

    def test_unknown_but_called_like_one(self):
        self.says("void f(void)\n{\n\tg(MY_PRIV(x)->attach->dev);\n}\n", (3, "dma_buf_sgt_dma_device(MY_PRIV(x)->attach)"))

    def test_of_nobody_knows_what(self):
        self.says("DECLARE_AT(h);\nvoid f(struct mine *m)\n{\n\tdma_buf_put(b);\n\tg(h->dev, m->pdev->dev, my(m)->dev);\n}\n"
                  f"extern {ATTACHMENT} *x;\n", (5, "h->dev"))

    def test_trace_event(self):
        text = f"TRACE_EVENT(x,\n\tTP_PROTO({ATTACHMENT} *at),\n\tTP_ARGS(at),\n\tTP_fast_assign(\n" \
               "\t\t__entry->d = at->dev;\n\t)\n);\n"
        self.becomes(text, text.replace("at->dev", "dma_buf_sgt_dma_device(at)"))

    def test_what_cannot_be_a_call(self):
        self.says(f"void f({ATTACHMENT} *a)\n{{\n\tg(&a->dev);\n\ta->dev = d;\n}}\n",
                  (3, "address"), (4, "assign"))

    def test_macros_that_assign(self):
        for macro in ("swap(a->dev, d)", "swap(d, a->dev)", "WRITE_ONCE(a->dev, d)", "xchg(&a->dev, d)"):
            with self.subTest(macro=macro):
                self.says(f"void f({ATTACHMENT} *a)\n{{\n\t{macro};\n}}\n", (3, "gone"))
        self.becomes(f"void f({ATTACHMENT} *a)\n{{\n\tWRITE_ONCE(d, a->dev);\n}}\n",
                     f"void f({ATTACHMENT} *a)\n{{\n\tWRITE_ONCE(d, dma_buf_sgt_dma_device(a));\n}}\n")

    def test_offsetof(self):
        self.says(f"int o = offsetof({ATTACHMENT}, dev);\n", (1, "dev"))

    def test_initialiser(self):
        self.says(f"{ATTACHMENT} mock = {{\n\t.dev = d,\n}};\n", (2, "dev"))


class Walks(Shape):
    WALK = f"""\
void my_sync(struct dma_buf *buf)
{{
	{ATTACHMENT} *a;

	list_for_each_entry(a, &buf->attachments, node) {{
		my_sync_one(dev_name(a->dev));
	}}
}}
"""

    def test_is_not_rewritten(self):
        self.says(self.WALK, (5, "dma_buf_is_sgt(a)", "[walk]"))
        self.assertIn("a->dev", (self.top / "driver.c").read_text())

    def test_with_a_check(self):
        checked = self.WALK.replace("{\n\t\tmy", "{\n\t\tif (!dma_buf_is_sgt(a))\n\t\t\tcontinue;\n\t\tmy")
        self.becomes(checked, checked.replace("a->dev", "dma_buf_sgt_dma_device(a)"))

    def test_decided(self):
        text = self.WALK.replace("node) {", "node) {\t/* dma-buf-convert: decided, all are SGT */")
        self.becomes(text, text.replace("a->dev", "dma_buf_sgt_dma_device(a)"))

    def test_hands_it_on(self):
        self.says(self.WALK.replace("dev_name(a->dev)", "a"), (5, "dma_buf_is_sgt(a)", "[walk]"))

    def test_other_loops(self):
        for loop in ("list_for_each_entry_safe(a, b, &buf->attachments, node)", "my_for_each(a, buf)",
                     "list_for_each_entry(a, head, node)", "list_for_each(p, &buf->attachments)"):
            with self.subTest(loop=loop):
                self.says("#define my_for_each(x, buf) list_for_each_entry(x, &(buf)->attachments, node)\n"
                          f"void f(struct dma_buf *buf)\n{{\n\t{ATTACHMENT} *a, *b;\n\n\t{loop} {{\n\t\ta = a ?: p;\n"
                          "\t\tg(a->dev);\n\t}\n}\n", (6, "dma_buf_is_sgt(a)", "[walk]"))

    def test_first_of_the_list(self):
        self.says(f"void *f(struct dma_buf *buf)\n{{\n\treturn list_first_entry(&buf->attachments, {ATTACHMENT}, node)->dev;\n"
                  "}\n", (3, "[walk]"))
        self.says(f"void *f(struct dma_buf *buf)\n{{\n\t{ATTACHMENT} *a = list_first_entry(&buf->attachments, {ATTACHMENT}, "
                  "node);\n\n\treturn a->dev;\n}\n", (3, "[walk]"))

    def test_own_list(self):
        self.says("void f(struct dma_buf *buf)\n{\n\tstruct my_at *a;\n\tlist_for_each_entry(a, &buf->attachments, n)\n"
                  "\t\tg(a->dev);\n}\n")


class Versions(Shape):
    def test_answer_does_not_change(self):
        text = "#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)\nvoid f(void)\n{\n\tdma_buf_attach(b, d);\n}\n#endif\n"
        self.becomes(text, text.replace("dma_buf_attach", "dma_buf_sgt_attach"))

    def test_elif(self):
        text = "#if defined(RHEL)\nint a;\n#elif LINUX_VERSION_CODE < KERNEL_VERSION(5, 8, 0)\n" \
               "int b = dma_buf_attach(b, d);\n#else\nint c = dma_buf_attach(b, d);\n#endif\n"
        self.becomes(text, text.replace("dma_buf_attach", "dma_buf_sgt_attach"))

    def test_feature_test_in_elif(self):
        self.says("#if defined(A)\nint a;\n#elif defined(HAVE_DMA_BUF_DYNAMIC_ATTACH)\nint b;\n#endif\n",
                  (3, "defined(HAVE_DMA_BUF_DYNAMIC_ATTACH) || defined(DMA_BUF_IMAPPING_SGT)"))

    def test_allow_peer2peer_is_still_there(self):
        self.says("#ifdef HAVE_ALLOW_PEER2PEER\nint a;\n#endif\n")

    def test_one_feature_test_is_one_message(self):
        test = "#ifdef X_HAS_PEER2PEER\nint a;\n#endif\n"
        self.says(3 * test, (1, "3 places"))

    def test_decided_feature_test(self):
        self.says("/* dma-buf-convert: decided */\n#ifdef X_HAS_PEER2PEER\nint a;\n#endif\n"
                  "#if defined(Y_PEER2PEER) || defined(DMA_BUF_IMAPPING_SGT)\nint b;\n#endif\n")

    def test_decided_in_the_whole_file(self):
        self.says("// dma-buf-convert: decided [feature-test]\nint b;\n\n#ifdef X_HAS_PEER2PEER\nint a;\n#endif\n")

    def test_code_for_old_kernels(self):
        text = "#ifdef DMA_BUF_IMAPPING_SGT\nint a = dma_buf_sgt_attach(b, d);\n#else\nint a = dma_buf_attach(b, d);\n" \
               "#endif\n#if !defined(DMA_BUF_IMAPPING_SGT)\nvoid *c(struct dma_buf_attachment *a) { return a->dev; }\n#endif\n"
        self.becomes(text, text)

    def test_peer2peer_of_old_kernels_is_a_note(self):
        done = self.says(f"#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)\nint f({ATTACHMENT} *a)\n{{\n"
                         "\treturn a->peer2peer;\n}\n#endif\n")
        self.assertEqual(len(self.notes(done)), 1)

    def test_if_0(self):
        done = self.says(f"#if 0\nint f({ATTACHMENT} *a)\n{{\n\treturn a->peer2peer;\n}}\n#endif\n")
        self.assertEqual(len(self.notes(done)), 1)


class Names(Shape):
    def test_private_core(self):
        for core in (f"{ATTACHMENT} {{\n\tstruct device *dev;\n}};\n",
                     "#define dma_buf_attach PRIV(dma_buf_attach)\n",
                     "struct dma_buf_attachment *dma_buf_attach(struct dma_buf *b, struct device *d)\n{\n\treturn 0;\n}\n"):
            with self.subTest(core=core):
                text = EXPORTER + "\nvoid f(void)\n{\n\tdma_buf_attach(b, d);\n}\n"
                self.write(core, "core.h")
                done = self.says(text)
                self.assertEqual((self.top / "driver.c").read_text(), text)
                self.assertIn("of its own", self.notes(done)[0])
                self.assertNotIn("0 uses left", done.stdout)

    def test_own_function_for_old_kernels(self):
        """One that calls what the kernel has is no core; its users get the new name."""
        text = "#ifndef MY_UNLOCKED\nstatic inline struct sg_table *dma_buf_map_attachment_unlocked(struct dma_buf_attachment " \
               "*a, int d)\n{\n\treturn dma_buf_map_attachment(a, d);\n}\n#endif\n" \
               "int a = dma_buf_map_attachment_unlocked(b, d);\n"
        done = self.becomes(text, text.replace("return dma_buf_", "return dma_buf_sgt_").replace("= dma_buf_", "= dma_buf_sgt_"))
        self.assertIn("remove it", self.notes(done)[0])

    def test_stub_for_kernels_without_dma_buf(self):
        """No core of its own: the stub is renamed with its callers."""
        for test in ("#ifdef CONFIG_DMA_SHARED_BUFFER\nint x;\n#else\n", "#if !IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)\n",
                     "#ifndef CONFIG_DMA_SHARED_BUFFER\n"):
            text = test + "static inline void *dma_buf_attach(void *b, void *d)\n{\n\treturn ERR_PTR(-ENODEV);\n}\n#endif\n" \
                "void *a = dma_buf_attach(b, d);\n"
            with self.subTest(test=test):
                self.becomes(text, text.replace("dma_buf_attach", "dma_buf_sgt_attach"))

    def test_alias_behind_a_test_that_nobody_knows(self):
        """By its new name it would replace the function of new kernels."""
        text = "#ifndef MY_UNLOCKED\n#define dma_buf_map_attachment_unlocked dma_buf_map_attachment\n#endif\n" \
               "int a = dma_buf_map_attachment_unlocked(b, d);\n"
        self.says(text, (2, "left as it is", "'#ifndef MY_UNLOCKED'", "\t#ifndef DMA_BUF_IMAPPING_SGT\n\t#define", "[alias]"))
        self.assertEqual((self.top / "driver.c").read_text(), text)
        for decided in (text.replace("attachment\n#endif", "attachment\t/* dma-buf-convert: decided */\n#endif"),
                        text + "/* dma-buf-convert: decided [alias] */\n",
                        text.replace("#ifndef MY_UNLOCKED", "#if !defined(MY_UNLOCKED) && !defined(DMA_BUF_IMAPPING_SGT)"),
                        text.replace("#define", "#ifndef DMA_BUF_IMAPPING_SGT\n#define").replace("#endif", "#endif\n#endif")):
            with self.subTest(decided=decided):
                self.becomes(decided, decided.replace("= dma_buf_", "= dma_buf_sgt_"))

    def test_alias_in_a_header(self):
        """The header's guard is no test."""
        text = "#ifndef MY_H\n#define MY_H\n#define dma_buf_map_attachment dma_buf_map_attachment_unlocked\n#endif\n"
        self.becomes(text, text.replace("dma_buf_", "dma_buf_sgt_"), name="my.h")

    def test_alias_for_old_kernels(self):
        text = "#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)\n" \
               "#define dma_buf_map_attachment_unlocked dma_buf_map_attachment\n#endif\n" \
               "int a = dma_buf_map_attachment_unlocked(b, d);\n"
        self.becomes(text, text.replace("= dma_buf_", "= dma_buf_sgt_"))

    def test_alias_for_new_kernels(self):
        text = "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)\n" \
               "#define dma_buf_map_attachment dma_buf_map_attachment_unlocked\n#endif\n" \
               "int a = dma_buf_map_attachment(b, d);\n"
        self.becomes(text, text.replace("dma_buf_", "dma_buf_sgt_"))

    def test_names_of_members_and_variables(self):
        self.says(f"struct my_obj {{\n\t{ATTACHMENT} *dma_buf_attach;\n\tint (*map)(int);\n}};\n"
                  "void f(struct my_obj *o)\n{\n\to->dma_buf_attach = 0;\n}\n")

    def test_log_strings_are_a_note(self):
        done = self.says('void f(void)\n{\n\tpr_err("dma_buf_attach failed");\n\tpr_err("dma_buf_attach: no\\n");\n}\n')
        self.assertEqual(len(self.notes(done)), 1)
        self.assertIn("0 uses left", done.stdout)

    def test_symbol_by_its_name(self):
        self.says('void f(void)\n{\n\tp = __symbol_get("dma_buf_attach");\n}\n', (3, "dma_buf_sgt_attach"))

    def test_pasted_name(self):
        self.says("#define DO(x) dma_buf_map_ ## x\n", (1, "##"))
        self.says("#define DO(x) my_ ## x ## dma_buf_q\n")

    def test_peer2peer_once_with_the_code_to_write(self):
        done = self.says(EXPORTER + textwrap.dedent(f"""\
            static int my_attach(struct dma_buf *dmabuf, {ATTACHMENT} *at)
            {{
            	struct my_buffer *buf = dmabuf->priv;

            	if (pci_p2pdma_distance(buf->my->pdev, at->dev, false) < 0)
            		at->peer2peer = false;
            	return at->peer2peer ? 0 : -1;
            }}
            """), (24, "2 places", "[peer2peer]"))
        for code in ("DMA_BUF_EMAPPING_SGT_P2P(&my_sgt_ops, buf->my->pdev)", ".map_dma_buf = my_map,",
                     ".unmap_dma_buf = my_unmap,", "dma_buf_sgt_p2p_allowed(at)"):
            self.assertIn(code, done.stderr)

    def test_import_of_the_namespace(self):
        self.says(EXPORTER + 'MODULE_LICENSE("GPL");\n', (19, 'MODULE_IMPORT_NS("DMA_BUF")'))

    def test_each_module_imports(self):
        """As Kbuild says: the parts of one module, and another module beside it."""
        self.write("obj-m := one.o two.o three.o\none-y := one_main.o driver.o\n", "Kbuild")
        self.write('MODULE_LICENSE("GPL");\nMODULE_IMPORT_NS("DMA_BUF");\n', "one_main.c")
        self.write('MODULE_LICENSE("GPL");\nint a = dma_buf_sgt_attach(b, d);\n', "two.c")
        self.write('MODULE_LICENSE("GPL");\nint a;\n', "three.c")
        self.write(EXPORTER)
        done = self.run_it()
        self.assertEqual(self.said(done)[0].split(": ")[0], f"{self.top}/two.c:1")
        self.assertEqual((len(self.said(done)), done.returncode), (1, 1))

    def test_namespace_is_there(self):
        for there in ('MODULE_IMPORT_NS("DMA_BUF");\n', "MODULE_IMPORT_NS(DMA_BUF);\n"):
            self.becomes('MODULE_LICENSE("GPL");\n' + there + OPS, 'MODULE_LICENSE("GPL");\n' + there + OPS.replace(
                "\t.map_dma_buf = my_map,\n\t.unmap_dma_buf = my_unmap,\n", "\t" + SGT))


class OtherFiles(Shape):
    """The sweep: every text file of the driver."""

    def test_each_kind(self):
        for name in ("conftest.sh", "Kbuild", "Makefile", "CMakeLists.txt", "dma-buf.m4", "configure.ac", "probe.py"):
            with self.subTest(name=name):
                self.write("int a;\n")
                self.says("a\n  CODE='dma_buf_map_attachment(a)'\n", (2, "dma_buf_map_attachment"), name=name)
                (self.top / name).unlink()

    def test_one_message_for_each_name(self):
        self.write("int a;\n")
        self.says("dma_buf_attach\ndma_buf_attach\nmap_dma_buf\n", (1, "2 places"), (3, "map_dma_buf"), name="conftest.sh")

    def test_member_of_the_attachment(self):
        self.write("int a;\n")
        self.says('    CODE="struct dma_buf_attachment *attach; return attach->peer2peer;"\n', (1, "peer2peer"),
                  name="conftest.sh")
        self.says('    CODE="int f(struct dma_buf_attachment *at) { return at->dev; }"\n', (1, "dev"), name="conftest.sh")

    def test_decided(self):
        self.write("int a;\n")
        self.says("# dma-buf-convert: decided\ngrep dma_buf_attach x\n", name="Kbuild")

    def test_new_names_beside(self):
        self.write("int a;\n")
        self.says("grep -E 'dma_buf_attach|dma_buf_sgt_attach' x\n", name="Kbuild")
        self.says("grep -E 'DMA_BUF_IMAPPING_SGT|dma_buf_sgt_attach' x\n", name="Kbuild")

    def test_documentation_is_a_note(self):
        self.write("int a;\n")
        done = self.says("Call dma_buf_attach().\n", name="README.md")
        self.assertEqual(len(self.notes(done)), 1)

    def test_no_text(self):
        self.write("int a;\n")
        (self.top / "blob.bin").write_bytes(b"\0dma_buf_attach")
        (self.top / ".git").mkdir()
        self.write("dma_buf_attach\n", ".git/config")
        self.assertEqual(self.run_it().stderr, "")

    def test_included_code(self):
        self.assertEqual(self.said(self.says("void f(void) { dma_buf_attach(b, d); }\n", name="part.inc")), [])
        self.assertIn("dma_buf_sgt_attach", (self.top / "part.inc").read_text())


class Modes(Shape):
    def test_check(self):
        path = self.write(EXPORTER)
        done = self.run_it("--check", self.top)
        self.assertEqual((done.returncode, path.read_text()), (1, EXPORTER))
        self.assertIn(f"{path}:6: ", done.stderr)
        self.run_it()
        done = self.run_it("--check", self.top)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("nothing old is used", done.stdout)

    def test_line_ends(self):
        path = self.top / "driver.c"
        path.write_bytes(EXPORTER.replace("\n", "\r\n").encode() + b"int x = '\xe4';\r\n")
        self.assertEqual(self.run_it().returncode, 0)
        after = path.read_bytes()
        self.assertIn(b"DMA_BUF_SIMPLE_SGT_EXP_MATCH(my_map, my_unmap),\r\n\t.release", after)
        self.assertEqual(after.count(b"\n"), after.count(b"\r\n"))
        self.assertIn(b"'\xe4'", after)

    def test_alignment_follows(self):
        self.becomes("void f(void)\n{\n\tsgt = dma_buf_map_attachment(a,\n\t\t\t\t     DIR);\n"
                     "\tsgt = dma_buf_map_attachment(\n\t\ta, DIR);\n}\n",
                     "void f(void)\n{\n\tsgt = dma_buf_sgt_map_attachment(a,\n\t\t\t\t\t DIR);\n"
                     "\tsgt = dma_buf_sgt_map_attachment(\n\t\ta, DIR);\n}\n")

    def test_alignment_stays(self):
        text = f"void f({ATTACHMENT} *a)\n{{\n\tmap(a->dev, x,\n\t    y);\n\tif (a->dev &&\n\t    b)\n\t\tg();\n}}\n"
        self.becomes(text, text.replace("a->dev", "dma_buf_sgt_dma_device(a)"))

    def test_code_that_ends_too_soon(self):
        self.says("struct dma_buf_ops o = {\n\t.map_dma_buf = ,\n\t.unmap_dma_buf =", (2, "no value"), (3, "no value"))

    def test_compat(self):
        path = self.write("#include <linux/module.h>\n" + EXPORTER)
        (self.top / "sub").mkdir()
        sub = self.write("#include <linux/dma-buf.h>\nint a = dma_buf_attach(b, d);\n", "sub/importer.c")
        done = self.run_it("--compat", self.top)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("#ifndef DMA_BUF_IMAPPING_SGT", (self.top / "dma-buf-compat.h").read_text())
        self.assertIn('#include <linux/dma-buf.h>\n#include "dma-buf-compat.h"\n', path.read_text())
        self.assertIn('#include "../dma-buf-compat.h"\n', sub.read_text())
        before = path.read_text()
        self.assertEqual(self.run_it("--compat", self.top).returncode, 0)
        self.assertEqual(path.read_text(), before)

    def test_compat_later(self):
        path = self.write("#include <linux/dma-buf.h>\n" + OPS)
        self.run_it()
        self.run_it("--compat", self.top)
        self.assertIn('#include <linux/dma-buf.h>\n#include "dma-buf-compat.h"\n', path.read_text())

    def test_compat_below_the_last_include(self):
        path = self.write('#include <linux/dma-buf.h>\n#ifdef X\n#include "x.h"\n#endif\n#include "my.h"\n' + OPS +
                          '#include "generated.c"\n')
        self.run_it("--compat", self.top)
        self.assertIn('#include "my.h"\n#include "dma-buf-compat.h"\nstatic', path.read_text())

    def test_suggest(self):
        path = self.write(textwrap.dedent("""\
            dma_addr_t my_contiguous(struct sg_table *sgt)
            {
            	dma_addr_t expected = sg_dma_address(sgt->sgl);
            	struct scatterlist *sg;
            	int i;

            	for_each_sgtable_dma_sg(sgt, sg, i) {
            		if (sg_dma_address(sg) != expected)
            			return 0;
            		expected = sg_dma_address(sg) + sg_dma_len(sg);
            	}
            	return sg_dma_address(sgt->sgl);
            }

            int my_addresses(struct my *my)
            {
            	struct sg_dma_page_iter iter;
            	int n = 0;

            	for_each_sgtable_dma_page(my->sgt, &iter, 0)
            		my->pages[n++] = sg_page_iter_dma_address(&iter);
            	return n;
            }

            struct sg_table *my_clone(struct sg_table *from)
            {
            	struct sg_table *to = kzalloc(sizeof(*to), GFP_KERNEL);
            	struct scatterlist *sg, *new;
            	int i;

            	sg_alloc_table(to, from->orig_nents, GFP_KERNEL);
            	new = to->sgl;
            	for_each_sgtable_sg(from, sg, i) {
            		sg_set_page(new, sg_page(sg), sg->length, sg->offset);
            		new = sg_next(new);
            	}
            	return to;
            }
            """) + "int x = dma_buf_attach(b, d);\n")
        before = path.read_text()
        done = self.run_it("--suggest", self.top)
        self.assertEqual((done.returncode, path.read_text()), (0, before))
        for line, name in ((7, "my_contiguous"), (20, "my_addresses"), (33, "my_clone")):
            self.assertRegex(done.stdout, rf"driver.c:{line}: {name}\(\).*")
        self.assertIn("dma-buf-mapping.rst", done.stdout)


def table():
    """Runs every test, and prints the shapes; false if one is not as expected."""
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    good = unittest.TextTestRunner(io.StringIO()).run(tests).wasSuccessful()
    print("| shape | expected | actual | kind |\n|---|---|---|---|")
    for row in Shape.rows:
        print(f"| {' | '.join(row)} |")
    print(f"\n{len(Shape.rows)} sources of {len({row[0] for row in Shape.rows})} shapes, "
          f"{sum(row[1] != row[2] for row in Shape.rows)} other than expected")
    return good


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        sys.exit(not table())
    unittest.main()
