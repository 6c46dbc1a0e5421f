"""Tests of the checks themselves: each finds what it refuses, and accepts what is right."""
import tempfile
import unittest
from pathlib import Path

from checks import style_words, swift_model, swift_source


def file_of(text, name="A.swift", folder="Sources/Room"):
    """A Swift file with this text, as the checks read it."""
    root = Path(tempfile.mkdtemp(prefix="checks."))
    path = root / folder / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    swift_source_root, swift_source.ROOT = swift_source.ROOT, root
    try:
        return swift_model.File(path)
    finally:
        swift_source.ROOT = swift_source_root


class SourceTests(unittest.TestCase):
    def test_comments_and_strings_are_blanked(self):
        code = swift_source.code_of('let a = "x \\(f("y")) z" // c\nlet b = #"\\("#\n/* /* d */ e */ let c = """\n q\n """')
        self.assertEqual([line.rstrip() for line in code.split("\n")], ["let a =", "let b =", "                let c =", "",
                                                                          ""])

    def test_strings_are_found_without_interpolations(self):
        found = [text for _, text in swift_source.strings_of('f("a \\(g("b")) c") // "d"')]
        self.assertEqual(found, ["a … c", "b"])


class ModelTests(unittest.TestCase):
    def test_types_are_counted_with_their_outer_names(self):
        file = file_of("public struct A {\n  enum B { case c }\n  class func f() {}\n}\nextension A {\n  final class D {}\n}\n")
        self.assertEqual([item.name for item in file.types], ["A", "A.B", "A.D"])

    def test_stored_properties_are_those_of_instances(self):
        file = file_of("final class A {\n  var a = 1, b: Int { 2 }\n  let c: Int\n  static let d = 1\n  lazy var e = { 1 }()\n"
                       "  var f: Int { 1 }\n  var g: Int {\n    didSet { h() }\n  }\n  func h() { let i = 1 }\n"
                       "  let (j, k) = (1, 2)\n}\n")
        self.assertEqual(len(list(file.properties(file.types[0]))), 6)

    def test_unlabelled_parameters_are_counted_but_for_callbacks_of_c(self):
        file = file_of("func f(_ a: Int, _ b: [Int: Int]) {}\nfunc onRead(_ a: OpaquePointer?, _ b: Int32) {}\n"
                       "struct S { init<T>(_ a: T, b: Int) {}\n  func g(_ a: (Int, Int) -> Void, c: Int, _ d: Int) {} }\n")
        found = [function.name for function in file.functions
                 if function.labels.count("_") >= 2 and not swift_model.is_c_callback(file, function)]
        self.assertEqual(found, ["f", "g"])

    def test_a_circle_of_files_is_found_with_its_names(self):
        files = [file_of("struct A { let b: B }", "A.swift"), file_of("struct B { let c: C.D }", "B.swift"),
                 file_of("enum C {\n  struct D { let a: A? }\n}", "C.swift"), file_of("struct E { let a: A }", "E.swift")]
        edges = swift_model.references(files)
        (circle,) = swift_model.circles(edges)
        self.assertEqual(sorted(file.path.name for file in circle), ["A.swift", "B.swift", "C.swift"])
        self.assertEqual(swift_model.ties(circle, edges), ["A.swift → B.swift: B", "B.swift → C.swift: C, C.D",
                                                           "C.swift → A.swift: A"])

    def test_a_private_type_ties_no_other_file(self):
        files = [file_of("private struct Box {}", "A.swift"), file_of("struct C { struct Box {}\n let b: Box }", "B.swift")]
        self.assertEqual(swift_model.references(files), {})


class WordTests(unittest.TestCase):
    def found(self, text):
        path = file_of(text).path
        root, swift_source.ROOT = swift_source.ROOT, path.parents[2]
        try:
            return [*style_words.in_strings(path, text), *style_words.comment_problems(path, text)]
        finally:
            swift_source.ROOT = root

    def test_banned_words_are_found_in_messages_only(self):
        self.assertEqual(len(self.found('log("the service is left out")\n// left out\nlet leftOut = "left"\n')), 1)

    def test_empty_doc_comments_are_found(self):
        self.assertEqual(len(self.found("/// The same for another.\nvar a = 1\n/// A server.\nvar b = 1\n"
                                        "/// Returns the name of a server.\nvar c = 1\n")), 2)


if __name__ == "__main__":
    unittest.main()
