import re
import tomllib
from dataclasses import dataclass
from typing import Any

import pytest

from fwdecg.config import (
    Configuration,
    describe_keys,
    differing_keys,
    from_tree,
    identity_hash,
    identity_tree,
    load,
    setting,
    to_toml,
    to_tree,
    with_overrides,
)
from fwdecg.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner(Configuration):
    diffusivity: float = setting(0.1, "D in mm^2/ms", above=0)
    span: tuple[float, float] = setting((1.0, 2.0), "a range", at_least=0, ascending=True)
    sites: tuple[tuple[float, float, float], ...] = setting((), "electrodes")


@dataclass(frozen=True, kw_only=True)
class Outer(Configuration):
    inner: Inner = setting(Inner)
    count: int = setting(3, "how many", at_least=1, at_most=9)
    kind: str = setting("a", "which", choices=("a", "b"))
    path: str = setting("x", "where", identity=False)
    fixed: float | None = setting(None, "or chosen automatically", above=0)
    fast: bool = setting(False, "whether")
    kinds: tuple[str, ...] = setting((), "several", choices=("a", "b"))


@dataclass(frozen=True, kw_only=True)
class WithRequiredKey:
    needed: int = setting(meaning="no default")


def test_overrides_replace_values_of_the_file(tmp_path):
    preset = tmp_path / "preset.toml"
    preset.write_text("count = 4\n[inner]\ndiffusivity = 1\nsites = [[1, 2, 3.5]]\nspan = [0, 3]\n")
    config = load(
        Outer,
        preset,
        ["count=5", "kind=b", 'kinds=["b", "a"]', "inner.diffusivity=0.25", "fixed=2"],
    )
    assert config.count == 5
    assert config.kind == "b"
    assert config.kinds == ("b", "a")
    assert config.inner.diffusivity == 0.25
    assert config.inner.sites == ((1.0, 2.0, 3.5),)
    assert config.inner.span == (0.0, 3.0)
    assert config.fixed == 2.0


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"cuont": 1}, "unknown key cuont; known here: inner, count"),
        ({"count": 2.5}, "count = 2.5: expected whole number, got float"),
        ({"count": True}, "count = True: expected whole number, got bool"),
        ({"count": 0}, "count = 0: must be at least 1"),
        ({"count": 10}, "count = 10: must be at most 9"),
        ({"fast": 1}, "fast = 1: expected true or false, got int"),
        ({"kind": "c"}, "kind = 'c': must be one of a, b"),
        ({"kinds": ["a", "c"]}, "kinds = ('a', 'c'): must be a list of a, b"),
        ({"kinds": "a"}, "kinds = 'a': expected list of text, got str"),
        ({"inner": {"diffusivity": -0.1}}, "inner.diffusivity = -0.1: must be above 0"),
        ({"inner": {"diffusivity": float("nan")}}, "inner.diffusivity = nan: must be finite"),
        ({"inner": {"span": [2, 1]}}, "inner.span = (2.0, 1.0): a range must run from low to high"),
        ({"inner": {"span": [1.0]}}, "inner.span = [1.0]: must have 2 entries"),
        ({"inner": {"span": 1.0}}, "inner.span = 1.0: expected [number, number], got float"),
        ({"inner": {"span": [1.0, "b"]}}, "inner.span[1] = 'b': expected number, got str"),
        ({"inner": {"sites": [[1.0, 2.0]]}}, "inner.sites[0] = [1.0, 2.0]: must have 3 entries"),
        ({"inner": 3}, "inner = 3: expected section, got int"),
    ],
)
def test_errors_contain_key_value_and_rule(tree, message):
    with pytest.raises(ConfigError) as caught:
        from_tree(Outer, tree)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["count"], "count: must read section.key=value"),
        (["nowhere.count=3"], "nowhere.count: there is no section nowhere"),
        (["cuont=3"], "unknown key cuont"),
        (["count=three"], "count = 'three': expected whole number"),
    ],
)
def test_bad_overrides(tmp_path, overrides, message):
    preset = tmp_path / "preset.toml"
    preset.write_text("")
    with pytest.raises(ConfigError, match=message):
        load(Outer, preset, overrides)


def test_unreadable_presets(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory; give the path"):
        load(Outer, tmp_path / "missing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("count = = 3")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(Outer, broken)


def test_a_key_without_default_is_required():
    with pytest.raises(ConfigError, match="needed is missing; add it"):
        from_tree(WithRequiredKey, {})


def test_overrides_of_a_configuration():
    config = Outer(count=4, fixed=None, inner=Inner(sites=((1.0, 2.0, 3.0),)))
    changed = with_overrides(config, ["inner.diffusivity=2", "count=5"])
    assert changed == Outer(count=5, inner=Inner(diffusivity=2.0, sites=((1.0, 2.0, 3.0),)))
    assert with_overrides(config, []) == config
    with pytest.raises(ConfigError, match=r"^outer.count: there is no section outer$"):
        with_overrides(config, ["outer.count=4"])


def test_the_hash_ignores_only_keys_without_identity():
    config = Outer()
    assert identity_hash(config) == identity_hash(Outer(path="elsewhere"))
    assert identity_hash(config) != identity_hash(Outer(count=4))
    assert identity_hash(config) != identity_hash(Outer(inner=Inner(diffusivity=0.2)))
    assert identity_hash(config, "a") != identity_hash(config, "b")
    assert "path" not in identity_tree(config)


def test_an_added_key_changes_the_hash_only_beyond_its_default():
    @dataclass(frozen=True, kw_only=True)
    class Extended(Outer):
        texture: str = setting("field", added=True)
        patches: Inner = setting(Inner, added=True)

    assert identity_hash(Extended()) == identity_hash(Outer())
    assert identity_hash(Extended(texture="ellipses")) != identity_hash(Outer())
    assert identity_hash(Extended(patches=Inner(diffusivity=0.2))) != identity_hash(Outer())


def test_differing_keys_have_dotted_names():
    first, second = to_tree(Outer()), to_tree(Outer(count=4, inner=Inner(diffusivity=0.2)))
    assert differing_keys(first, second) == ["count", "inner.diffusivity"]
    assert differing_keys(first, first) == []


@dataclass(frozen=True, kw_only=True)
class WithTable:
    inner: Inner = setting(Inner)
    table: dict[str, Any] = setting(dict, "free-form table")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("table.a.b={choice=[1, 2]}", {"a.b": {"choice": [1, 2]}, "kept": 1}),
        ('table."a.b"=2', {"a.b": 2, "kept": 1}),
        ("table={kept=2}", {"kept": 2}),
    ],
)
def test_a_free_form_table_accepts_any_key(tmp_path, override, expected):
    preset = tmp_path / "preset.toml"
    preset.write_text("[table]\nkept = 1\n")
    assert load(WithTable, preset, [override]).table == expected


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("table = 3", "inner.diffusivity=1", "table = 3: expected section, got int"),
        ("table = 3", "table.a=1", "the preset has table = 3, not a section"),
    ],
)
def test_a_table_cannot_be_a_plain_value(tmp_path, text, override, message):
    preset = tmp_path / "preset.toml"
    preset.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(WithTable, preset, [override])


def test_toml_round_trip():
    tree = {
        "word": 'a "quoted" \\ ü',
        "small": 1e-05,
        "flag": True,
        "sites": [[1.0, 2.0, 3.5]],
        "inner": {"count": 3, "deeper": {"a.b": {"choice": [1, 2]}}},
        "empty": {},
    }
    without_empty = {key: value for key, value in tree.items() if key != "empty"}
    assert tomllib.loads(to_toml(tree | {"nothing": None})) == without_empty
    config = Outer(inner=Inner(diffusivity=0.2, sites=((1.0, 2.0, 3.0),)), fixed=2.0)
    assert from_tree(Outer, tomllib.loads(to_toml(to_tree(config)))) == config


def test_help_has_one_line_per_key():
    lines = list(describe_keys(Outer))
    assert "inner.diffusivity (number, default 0.1): D in mm^2/ms" in lines
    assert "inner.sites (list of [number, number, number], default []): electrodes" in lines
    assert "fixed (number or left out, default none): or chosen automatically" in lines
    assert len(lines) == 9
