"""Settings become validated values, and what is wrong with them is said."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs
import pytest
from attrs import field, frozen, validators
from hypothesis import given, strategies as st
from tests.core.fakes import QUICK

from stempilot.errors import ConfigError
from stempilot.plugins import options as config
from stempilot.plugins.parts import RunConfig, options_class
from stempilot.plugins.registry import KINDS, Kind, discover

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@frozen(kw_only=True)
class Inner:
    gain: float = 1.0
    label: str = "a"


@frozen(kw_only=True)
class Options:
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "plain": {},
        "paper": {"size": 3, "ratio": 0.25},
    }

    preset: str = "plain"
    size: int = field(default=1, validator=validators.ge(0))
    ratio: float = field(default=0.5, validator=validators.gt(0))
    on: bool = False
    label: str = ""
    mode: Literal["fast", "slow", 3] = "fast"
    pair: tuple[float, float] = (0.0, 0.0)
    many: tuple[int, ...] = ()
    maybe: float | None = None
    either: int | str = 0
    inner: Inner = field(factory=Inner)
    table: dict[str, Inner] = field(factory=dict)


def build(**values: Any) -> Options:
    return config.build(Options, values, section="task")


INNERS = st.builds(Inner, gain=FINITE, label=st.text())


@QUICK
@given(
    st.builds(
        Options,
        preset=st.sampled_from(["plain", "paper"]),
        size=st.integers(min_value=0),
        ratio=FINITE.filter(lambda x: x > 0),
        on=st.booleans(),
        label=st.text(),
        mode=st.sampled_from(["fast", "slow", 3]),
        pair=st.tuples(FINITE, FINITE),
        many=st.lists(st.integers()).map(tuple),
        maybe=st.none() | FINITE,
        either=st.integers() | st.text(),
        inner=INNERS,
        table=st.dictionaries(st.text(), INNERS),
    )
)
def test_configurations_survive_json(options: Options) -> None:
    text = json.dumps(config.plain(options), allow_nan=False)
    assert build(**json.loads(text)) == options


@QUICK
@given(st.builds(RunConfig, max_timesteps=st.integers(1), checkpoint_every=st.integers(1)))
def test_the_run_section_survives_json(options: RunConfig) -> None:
    plain = json.loads(json.dumps(config.plain(options)))
    assert config.build(RunConfig, plain, section="run") == options


def test_a_preset_lies_between_defaults_and_settings() -> None:
    assert (build().size, build().ratio) == (1, 0.5)
    assert (build(preset="paper").size, build(preset="paper").ratio) == (3, 0.25)
    chosen = build(preset="paper", size=7)
    assert (chosen.size, chosen.ratio, chosen.preset) == (7, 0.25, "paper")


def test_a_whole_number_will_do_for_a_float() -> None:
    assert build(ratio=2).ratio == 2.0
    assert type(build(ratio=2).ratio) is float


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sise": 1}, "unknown option in section task: task.sise; did you mean task.size?"),
        ({"zzz": 1}, "unknown option in section task: task.zzz; known: preset, size"),
        ({"preset": "papr"}, "unknown task.preset: papr; did you mean paper?"),
        ({"size": 1.0}, "task.size: 1.0 is not a whole number"),
        ({"size": True}, "task.size: True is not a whole number"),
        ({"size": "1"}, "task.size: '1' is not a whole number"),
        ({"size": None}, "task.size: None is not a whole number"),
        ({"size": -1}, "'size' must be >= 0"),
        ({"ratio": True}, "task.ratio: True is not a number"),
        ({"ratio": "x"}, "task.ratio: 'x' is not a number"),
        ({"ratio": float("nan")}, "task.ratio: nan is not finite"),
        ({"ratio": float("inf")}, "task.ratio: inf is not finite"),
        ({"ratio": 10**400}, "task.ratio: "),
        ({"maybe": 10**400}, "task.maybe: "),
        ({"on": 1}, "task.on: 1 is not true or false"),
        ({"label": 3}, "task.label: 3 is not text"),
        ({"mode": "fats"}, "'fats' is not one of fast, slow, 3; did you mean fast?"),
        ({"mode": 3.0}, "3.0 is not one of fast, slow, 3"),
        ({"pair": [1.0]}, "[1.0] has 1 entries, not 2"),
        ({"pair": "ab"}, "'ab' is not a list"),
        ({"pair": [1.0, "b"]}, "'b' is not a number"),
        ({"many": [1, 2.5]}, "2.5 is not a whole number"),
        ({"maybe": "x"}, "task.maybe: 'x' is not a number"),
        ({"either": 1.5}, "1.5 is not a whole number and 1.5 is not text"),
        ({"inner": {"gain": "x"}}, "task.inner.gain: 'x' is not a number"),
        ({"inner": {"gian": 1.0}}, "task.inner: unknown key: gian; did you mean gain?"),
        ({"inner": 3}, "task.inner"),
        ({"table": [1]}, "task.table"),
        ({"table": {"a": {"gain": None}}}, "None is not a number"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**values)
    assert said in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build(sise=1, zzz=2, ratio="x", size="1")
    said = str(caught.value)
    for part in (
        "task.sise; did you mean task.size?",
        "task.zzz; known: ",
        "task.ratio",
        "task.size",
    ):
        assert f" {part}" in said


def test_an_unknown_preset_is_said_beside_unknown_options() -> None:
    with pytest.raises(ConfigError, match=r"task\.sise; did you .*; unknown task\.preset: papr"):
        build(sise=1, preset="papr")


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build(size="a", ratio="b", inner={"gain": "c"})
    for said in ("task.size: 'a'", "task.ratio: 'b'", "task.inner.gain: 'c'"):
        assert said in str(caught.value)


def test_what_a_class_finds_by_itself_is_said_too() -> None:
    @frozen(kw_only=True)
    class Range:
        low: float = 0.0
        high: float = 1.0

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                msg = f"low = {self.low:g} exceeds high = {self.high:g}"
                raise ValueError(msg)

    @frozen(kw_only=True)
    class Outer:
        either: Range | str = ""

    with pytest.raises(ConfigError, match="task: low = 2 exceeds high = 1"):
        config.build(Range, {"low": 2.0}, section="task")
    with pytest.raises(ConfigError, match="low = 2 exceeds high = 1 and .* is not text"):
        config.build(Outer, {"either": {"low": 2.0}}, section="task")


def test_missing_values_are_named() -> None:
    @frozen(kw_only=True)
    class Needed:
        path: str

    with pytest.raises(ConfigError, match=r"backend\.path: path is missing"):
        config.build(Needed, {}, section="backend")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("task.size=3", 3),
        ("task.ratio = 0.5", 0.5),
        ("task.on=true", True),
        ("task.label=paper", "paper"),
        ("task.label='3'", "3"),
        ("task.label=", ""),
        ("task.label=a=b", "a=b"),
        ("task.pair=[1, 2]", [1, 2]),
        ("task.maybe=none", None),
        ("task.maybe=NULL", None),
    ],
)
def test_settings_are_read_as_toml_or_plain_text(text: str, value: Any) -> None:
    section, key, found = config.parse_setting(text)
    assert (section, key) == ("task", text.partition(".")[2].partition("=")[0].strip())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task.size", "is not section.key=value"),
        ("size=3", "is not section.key=value"),
        ("task.=3", "is not section.key=value"),
        ("=3", "is not section.key=value"),
        ("tsk.size=3", "unknown section: tsk; did you mean task?"),
    ],
)
def test_settings_that_cannot_be_understood(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse_setting(text)
    assert said in str(caught.value)


HINT = "write a path in single quotes, 'C:\\new', or with forward slashes, C:/new"


@pytest.mark.parametrize(
    "value", ['"C:\\weights\\x"', '["C:\\weights\\x"]', '{path="D:\\data"}', '"C:\\Users\\me"']
)
def test_backslashes_that_are_no_escapes_say_how_to_write_a_path(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse_setting(f"task.label={value}")
    assert HINT in str(caught.value)
    assert value in str(caught.value)
    file = tmp_path / "run.toml"
    file.write_text(f"[task]\nsize = 3\nlabel = {value}\n")
    with pytest.raises(ConfigError) as caught:
        config.read_settings(file, ())
    assert HINT in str(caught.value)


def test_backslashes_elsewhere_are_not_blamed(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    for content in ("[task]\nlabel = 'C:\\x'\nsize = \n", "label = 'C:\\x'\n[task"):
        file.write_text(content)
        with pytest.raises(ConfigError) as caught:
            config.read_settings(file, ())
        assert "forward slashes" not in str(caught.value)


@pytest.mark.parametrize("typed", ["task.label=C:\\new\\x", "task.label='C:\\new\\x'"])
def test_paths_with_backslashes_that_are_understood(typed: str) -> None:
    assert config.parse_setting(typed)[2] == "C:\\new\\x"


@pytest.mark.parametrize("value", ['"C:\\new"', '"D:\\run"', '["runs\\frames"]', '{a="b\\temp"}'])
def test_a_path_whose_backslashes_were_taken_for_escapes_is_refused(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse_setting(f"task.label={value}")
    assert HINT in str(caught.value)
    file = tmp_path / "run.toml"
    file.write_text(f"[task]\nlabel = {value}\n")
    with pytest.raises(ConfigError) as caught:
        config.read_settings(file, ())
    assert HINT in str(caught.value)
    assert str(file) in str(caught.value)


def test_lines_that_are_written_as_lines_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[task]\nlabel = """one\ntwo"""\n')
    assert config.read_settings(file, ())["task"] == {"label": "one\ntwo"}


def test_settings_override_the_file_and_later_ones_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[task]\nsize = 1\nratio = 0.1\n[run]\nmax_timesteps = 9\n")
    found = config.read_settings(file, ["task.size=2", "task.size=3", "agent.x=1"])
    assert found == {
        "task": {"size": 3, "ratio": 0.1},
        "backend": {},
        "agent": {"x": 1},
        "run": {"max_timesteps": 9},
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[tasks]\n", "unknown section: tasks; did you mean task?"),
        (b"task = 3\n", "task must be a table, [task], not 3"),
        (b"task = \n", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8, in line 1; save it as UTF-8"),
        (b"a = 1\n\0b\0", "is not UTF-8, in line 2; save it as UTF-8"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        config.read_settings(file, ())
    assert said in str(caught.value)


def test_a_byte_order_mark_as_windows_writes_it_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(b"\xef\xbb\xbf[task]\na = 1\n")
    assert config.read_toml(file) == {"task": {"a": 1}}


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*no\.toml: No such file"):
        config.read_settings(tmp_path / "no.toml", ())
    with pytest.raises(ConfigError, match="cannot read .*: Is a directory"):
        config.read_settings(tmp_path, ())


BUILT_IN = [
    (kind, name, preset)
    for kind in KINDS
    for name in discover(only="").names(kind)
    for preset in (None, *getattr(options_class(discover(only=""), kind, name), "presets", ()))
]


@pytest.mark.parametrize(("kind", "name", "preset"), BUILT_IN)
def test_options_of_built_in_plugins_survive_json(kind: Kind, name: str, preset: str) -> None:
    options = options_class(discover(only=""), kind, name)
    try:
        made = config.build(options, {"preset": preset} if preset else {}, section=kind)
    except ConfigError as error:
        pytest.skip(f"needs options: {error}")
    text = json.dumps(config.plain(made), allow_nan=False)
    assert config.build(options, json.loads(text), section=kind) == made


def test_defaults_are_plain() -> None:
    assert config.defaults(Inner) == {"gain": 1.0, "label": "a"}
    assert config.build(Inner, config.defaults(Inner), section="x") == attrs.evolve(Inner())


def test_an_earlier_name_of_an_option_is_still_taken() -> None:
    built = config.build(RunConfig, {"max_steps": 7}, section="run")
    assert built.max_timesteps == 7


def test_of_many_problems_the_first_are_named_in_short() -> None:
    with pytest.raises(ConfigError) as caught:
        build(**{f"no_{number}": 1 for number in range(50_000)})
    said = str(caught.value)
    assert "no_19" in said
    assert "no_20" not in said
    assert said.endswith("49980 more")
    with pytest.raises(ConfigError, match="x{900}.*is not a whole number|x{900}") as caught:
        build(size="x" * 1_000_000)
    assert len(str(caught.value)) < 1_100
