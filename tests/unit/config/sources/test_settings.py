"""strongSwan's settings format: what is read, inherited and refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.sources.settings import Section, parse
from ikepy.errors import ConfigError

Plain = dict[str, object]


def plain(section: Section) -> Plain:
    values: Plain = {key: value.text for key, value in section.values.items()}
    return values | {name: plain(inner) for name, inner in section.sections.items()}


def read(text: str, path: Path = Path("swanctl.conf")) -> Plain:
    return plain(parse(path, text).root)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("# nothing\n\n", {}),
        ("a { b = c }", {"a": {"b": "c"}}),
        ("a{b=c}", {"a": {"b": "c"}}),
        ("a\n{\n b = c # d\n}\n", {"a": {"b": "c"}}),
        ("a {\r\n b = c\r\n}\r\n", {"a": {"b": "c"}}),
        ("a = b  c\td # comment", {"a": "b c d"}),
        ("a = b=c:d.e,f{g", {"a": "b=c:d.e,f{g"}),
        ("a =\nb = c", {"a": None, "b": "c"}),
        ("a = # comment\nb = c", {"a": None, "b": "c"}),
        ('a = ""', {"a": ""}),
        ('a = "b # } \\" \\\\ c"', {"a": 'b # } " \\ c'}),
        ('a = "b\\n\\t\\r\\x"', {"a": "b\n\t\rx"}),
        ('a = "b\\\nc\nd"', {"a": "bc\nd"}),
        ('a = b"c"d', {"a": "b c d"}),
        ("a = b\na = c", {"a": "c"}),
        ("a { b = 1\n c = 2 }\na { b = 3 }", {"a": {"b": "3", "c": "2"}}),
        ("include = a", {"include": "a"}),
        ("include { b = c }".replace("include ", "include"), {"include": {"b": "c"}}),
    ],
)
def test_what_is_read(text: str, found: Plain) -> None:
    assert read(text) == found


def test_a_section_inherits_values_and_sections_and_overrides_them() -> None:
    found = read(
        """
        one { a = 1
              b = 1
              inner { x = 1
                      y = 1 } }
        two : base.part { a = 2 }
        three : one, two { b = 3
                           inner { y = 3 } }
        base { part { a = 0
                      c = 0 } }
        cleared : one { a = }
        """
    )
    assert found["two"] == {"a": "2", "c": "0"}
    assert found["three"] == {"a": "1", "b": "3", "c": "0", "inner": {"x": "1", "y": "3"}}
    assert found["cleared"] == {"a": None, "b": "1", "inner": {"x": "1", "y": "1"}}


def test_inheritance_in_many_ways_is_read_in_time() -> None:
    levels = "\n".join(f"s{n} : s{n + 1}, t{n + 1} {{ }}\nt{n} : s{n + 1}, t{n + 1} {{ }}" for n in range(60))
    assert plain(parse(Path("x"), f"{levels}\ns60 {{ a = b }}\nt60 {{ }}").root)["s0"] == {"a": "b"}


def test_a_section_that_is_not_there_is_remarked() -> None:
    settings = parse(Path("x.conf"), "\na : b.c { d = e }")
    assert plain(settings.root) == {"a": {"d": "e"}}
    assert [(str(place), name) for place, name in settings.absent] == [("x.conf:2", "b.c")]


def test_files_are_included_into_the_section_by_patterns_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.conf").write_text("b = 1\nc = 1\ninclude ../e.conf")
    (tmp_path / "d" / "2.conf").write_text("c = 2")
    (tmp_path / "e.conf").write_text("e = 5")
    (tmp_path / "with space").write_text("f = 6")
    text = 'a { b = 0\n include d/*.conf\n include none/*.conf\n include "with space" }\ninclude with\\ space'
    assert read(text, tmp_path / "s.conf") == {"a": {"b": "1", "c": "2", "e": "5", "f": "6"}, "f": "6"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a {\n b = c\n", "x.conf:2: the file ends within a section"),
        ("a = b\n}", 'x.conf:2: a "}" stands where no section is open'),
        ('a = b\nc = "d\n', "x.conf:2: a quote stands where none may, or the text behind it does not end"),
        ("\n\na.b = c", 'x.conf:3: "." has no place in the name'),
        ("a : { b = c }", "x.conf:1: is not swanctl.conf's syntax"),
        ("a\nb = c", "x.conf:2: is not swanctl.conf's syntax"),
        ("a : b { }\nb : a { }", "x.conf:1: a section inherits from itself"),
        ("a : a { }", "x.conf:1: a section inherits from itself"),
        ("a { b : a { } }", "x.conf:1: a section inherits from itself"),
        ("x = y\ninclude absent.conf", "x.conf:2: include: there is no such file"),
        ("a {" * 40 + "}" * 40, "x.conf:1: sections are nested too deeply"),
        ("a {" * 20_000 + "}" * 20_000, "x.conf:1: sections are nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(tmp_path / "x.conf", text)
    assert str(caught.value).startswith(f"{tmp_path}/{told}")


def test_a_mistake_in_an_included_file_is_told_with_that_file(tmp_path: Path) -> None:
    (tmp_path / "b.conf").write_text("c = d\n\ne {")
    with pytest.raises(ConfigError, match=rf"{tmp_path}/b\.conf:3: the file ends within a section"):
        parse(tmp_path / "a.conf", "include b.conf")
    (tmp_path / "b.conf").write_text("include b.conf")
    with pytest.raises(ConfigError, match="files include each other too deeply"):
        parse(tmp_path / "a.conf", "include b.conf")


def test_no_message_repeats_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        read('secrets { ike { secret = "hush" hush "hush\n } }')
    assert "hush" not in str(caught.value)


NAMES = st.text("abcXYZ019-_%@/", min_size=1, max_size=8).filter(lambda name: name != "include")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)
TREES: st.SearchStrategy[Plain] = st.recursive(
    st.dictionaries(NAMES, TEXTS, max_size=4),
    lambda inner: st.dictionaries(NAMES, inner | TEXTS, max_size=4),
    max_leaves=12,
)


def written(tree: Plain) -> str:
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines.append(f"{key} {{\n{written(value)}\n}}")
        else:
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{key} = "{escaped}"')
    return "\n".join(lines)


@given(TREES)
def test_what_is_written_is_read_again(tree: Plain) -> None:
    assert read(written(tree)) == tree


@given(st.text('abz{}="#:,.\\ \n\t\rinclude', max_size=60) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text, Path("/nowhere/x.conf"))
    except ConfigError as error:
        assert all(told for _, told in error.problems)
