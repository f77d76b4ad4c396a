"""Spaces as files: the exact way back, and faults that are named with their place."""

import json

import pytest
import yaml
from hypothesis import given, settings

from tunekit.errors import InvalidSpace
from tunekit.spaces import Categorical, Constant, Float, Int, Repeat, Space, When
from tunekit.spaces.catalogue import bundled_spaces, load_space
from tunekit.spaces.serialize import (
    domain_from_dict,
    domain_to_dict,
    space_from_dict,
    space_to_dict,
)
from tunekit.testing.spaces import domains, random_point, spaces

HEAD = "format: tunekit.space/1\n"


@settings(max_examples=40, deadline=None)
@given(spaces())
def test_json_and_yaml_give_the_same_space_back(tmp_path_factory, space):
    data = space_to_dict(space)
    assert space_from_dict(json.loads(json.dumps(data, allow_nan=False))) == space
    folder = tmp_path_factory.mktemp("spaces")
    (folder / "s.yaml").write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    (folder / "s.json").write_text(json.dumps(data))
    assert load_space(folder / "s.yaml") == space
    assert load_space(str(folder / "s.json")) == space


@settings(max_examples=200, deadline=None)
@given(domains())
def test_a_domain_comes_back_with_the_types_of_its_values(domain):
    back = domain_from_dict(json.loads(json.dumps(domain_to_dict(domain))))
    assert back == domain
    assert type(back) is type(domain)


def test_every_word_of_the_format_round_trips():
    space = Space(
        {"learning rate": Float(1e-5, 0.1, log=True, default=1e-3, special=[-1])},
        n=Int(1, 9, step=2),
        size=Categorical(["s", "m", "l"], ordered=True, default="m"),
        kind=Categorical({"a": Space(x=Float(0, 1)), ("b", 2): Space(y=bool), None: None}),
        layers=Repeat(0, 3, Space(units=Int(1, 8), constraints="units != 5")),
        epochs=Int(1, 81, log=True, fidelity=True),
        fixed="on",
        when=[When("n", [1, 3], Space(z=Constant(1.0)), also={"size": ["s", "l"]})],
        constraints=["n < 9 or size == 'm'"],
    )
    assert space_from_dict(space_to_dict(space)) == space


def test_scalars_are_read_as_in_yaml_1_2(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(HEAD + "parameters:\n  a: [on, off, yes, 1e-3, 010, true, null, 0, 12:30]\n")
    (node,) = [node for _, node in load_space(file).nodes]
    assert node == Categorical(["on", "off", "yes", 0.001, "010", True, None, 0, "12:30"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping"),
        ("parameters: {}", "format: tunekit.space/1"),
        ("format: tunekit.space/2", "upgrade"),
        (HEAD + "parameter: {}", 'did you mean "parameters"'),
        (HEAD + "parameters: [1]", "parameters: got"),
        (HEAD + "parameters: {x: {type: flaot, lo: 0, hi: 1}}", 'did you mean "float"'),
        (HEAD + "parameters: {x: {type: float, lo: 0}}", r"parameters\.x: hi: is missing"),
        (HEAD + "parameters: {x: {type: float, lo: 0, high: 1}}", r'parameters\.x: .*"high"'),
        (HEAD + "parameters: {x: {type: float, lo: a, hi: 1}}", r"parameters\.x: .*finite"),
        (HEAD + "parameters: {x: {type: float, lo: .nan, hi: 1}}", r"parameters\.x: .*finite"),
        (HEAD + "parameters: {x: {type: categorical, choices: [a, a]}}", "remove one"),
        (HEAD + "parameters: {x: {type: categorical, choices: [true, 1]}}", "remove one"),
        (HEAD + "parameters: {x: {type: categorical, choices: [[a]]}}", r"choices\[0\]"),
        (HEAD + "parameters: {x: {type: categorical, choices: [{value: a, values: [b]}]}}",
         r"choices\[0\]: expected either"),
        (HEAD + "parameters: {x: {type: categorical, choices: [{value: [1]}]}}", "one value"),
        (HEAD + "parameters: {x: {type: categorical, choices: [{value: a, space: "
         "{parameters: {C: {type: int, lo: 2, hi: 1}}}}]}}",
         r"parameters\.x\.choices\[0\]\.space\.parameters\.C: .*swap"),
        (HEAD + "parameters: {x: {type: categorical, choices: [a], ordered: 1}}", "ordered"),
        (HEAD + "parameters: {x: {type: repeat, lo: 1, hi: 2, space: 3}}", r"x\.space: got 3"),
        (HEAD + "when: [{parent: x}]", r"when\[0\]: values: is missing"),
        (HEAD + "parameters: {x: [1]}\nconstraints: [y < 1]", "unknown parameter"),
        (HEAD + "parameters: {x: [1]}\nconstraints: x < 1", "constraints: got"),
        (HEAD + "parameters: {x: 1, x: 2}", 'line 2: the key "x" appears twice'),
        (HEAD + "parameters: {1: 2}", "quotes"),
        (HEAD + "lr: {type: float, lo: 0, hi: 1}", "put the parameters below parameters:"),
        ("a: [", "not YAML"),
        ("a: !!python/object/apply:os.system [true]", "not YAML"),
        ("&a [*a]", "expected a mapping"),
        ("? [a]\n: 1", "not YAML"),
        ("\0", "not YAML"),
        ("a: " + "[" * 5000, "nested|YAML"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_refused_with_its_name_and_place(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InvalidSpace, match=words) as caught:
        load_space(file)
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b'{"format": "tunekit.space/1", "format": 1}', "appears twice"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b'{"format": "tunekit.space/1", "parameters": {"x": NaN}}', "finite"),
        ("a.yaml", b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_other_faults_of_a_file(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidSpace, match=words):
        load_space(tmp_path / name)


def test_a_missing_file_and_an_unknown_name_are_named(tmp_path):
    with pytest.raises(InvalidSpace, match="No such file"):
        load_space(tmp_path / "none.yaml")
    with pytest.raises(InvalidSpace, match='did you mean "xgboost"'):
        load_space("xgbost")
    with pytest.raises(InvalidSpace, match="cannot read"):
        (tmp_path / "folder.yaml").mkdir()
        load_space(tmp_path / "folder.yaml")
    with pytest.raises(InvalidSpace, match="expected a file or a name"):
        load_space("")


def test_a_domain_with_child_spaces_is_no_leaf():
    with pytest.raises(InvalidSpace, match="not a leaf"):
        domain_to_dict(Categorical({"a": Space(x=1)}))
    with pytest.raises(InvalidSpace, match="child spaces"):
        domain_from_dict({"type": "repeat", "lo": 0, "hi": 1, "space": {}})


def test_the_four_ready_made_spaces_are_there():
    assert {"lightgbm", "sklearn_cash", "transformer_training", "xgboost"} <= set(bundled_spaces())


@pytest.mark.parametrize("name", bundled_spaces())
def test_a_ready_made_space_loads_samples_and_round_trips(name):
    space = load_space(name)
    assert space.validate(space.default()) == space.default()
    assert space_from_dict(json.loads(json.dumps(space_to_dict(space)))) == space
    points = [random_point(space, seed) for seed in range(300)]
    valid = [point for point in points if not space.violated(point)]
    assert len(valid) >= 100
    for point in valid:
        assert space.validate(point) == point
    seen = set().union(*points)
    assert seen == set(space.by_path), "a parameter that is never active"


def test_the_example_of_the_description_loads(tmp_path):
    from tunekit.spaces.catalogue import catalogue_root

    text = (catalogue_root() / "README.md").read_text()
    file = tmp_path / "example.yaml"
    file.write_text(text.split("```yaml\n")[1].split("```")[0])
    space = load_space(file)
    assert space.resolve("C") == "model.svm.C"
    assert (
        space.by_path["strength"].requirement() == "scaler in {'standard'} and augment in {True}"
    )
