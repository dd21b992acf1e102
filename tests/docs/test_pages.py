"""The pages of docs/: their links lead somewhere, their Python runs, their tables are complete."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import convlens
from convlens.data import Augment
from convlens.data.findings import WORDS
from convlens.explanation import METHODS
from convlens.exporting import FORMATS, snippet
from convlens.exporting.metadata import KEYS
from convlens.training import Recipe
from convlens.training.budget import LOOKS

from .conftest import PAGES, ROOT, blocks, subcommands

MARKDOWN = [*PAGES, *sorted(ROOT.glob("*.md"))]
DOCS = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives to headings: lower case, no punctuation, - for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_every_internal_link_leads_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {link}, which has no such heading"


def test_the_index_links_every_page():
    index = ROOT / "docs" / "index.md"
    assert {page.name for page in PAGES} - {"index.md"} <= {link.partition("#")[0] for link in links(index)}


RUN = [page for page in PAGES if blocks(DOCS[page.stem], "python")]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.name, marks=[pytest.mark.slow] * (page.name == "explain.md")) for page in RUN],
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, working_folder):
    known: dict[str, object] = {}
    for block in blocks(DOCS[page.stem], "python"):
        exec(compile(block, page.name, "exec"), known)


def test_the_page_of_pictures_names_every_finding_with_its_severity():
    severities = {kind: severity for kind, (severity, _) in WORDS.items()}
    severities |= dict.fromkeys(("empty_class", "missing_class_in_part", "imbalance"), "warning")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", DOCS["pictures"], re.MULTILINE))
    assert rows == severities


def test_the_page_of_training_names_every_option_of_the_recipe():
    options = {f"--{name.replace('_', '-')}" for name in Recipe.__dataclass_fields__}
    options = options - {"--budget-s", "--name"} | {"--budget", "--recipe"}
    # From Python alone:
    alone = [
        "momentum",
        "betas",
        "head-rate",
        "bias-rate",
        "on-sphere",
        "beside-muon",
        "lookahead",
        "clip",
        "distil-weight",
        "distil-temperature",
        "l1-scales",
        "freeze-stem",
    ]
    for name in alone:
        assert f"`{name.replace('-', '_')}`" in DOCS["training"]
        options.remove(f"--{name}")
    assert [option for option in sorted(options) if option not in DOCS["training"]] == []


def test_the_page_and_the_help_of_training_name_every_augmentation():
    section = DOCS["training"].partition("## Augmentation")[2].partition("\n## ")[0]
    (option,) = (one for one in subcommands()["train"].params if "--augmentation" in one.opts)
    for name in Augment.__dataclass_fields__:
        assert re.search(rf"^\|[^|]*`{name}`[^|]*\|", section, re.MULTILINE), name
        assert re.search(rf"\b{name}\b", option.help), name


def test_the_page_of_training_names_the_moments_of_replanning():
    shares = ", ".join(f"{look:.0%}".rstrip("%") for look in LOOKS[:-1])
    assert f"{shares} and {LOOKS[-1]:.0%}".replace("%", " %") in " ".join(DOCS["training"].split())


def test_options_named_anywhere_in_the_documentation_exist():
    known = {option for command in subcommands().values() for one in command.params for option in one.opts}
    known |= {option for command in subcommands().values() for one in command.params for option in one.secondary_opts}
    known |= {"--help", "--constraint", "--data-binary"}  # the last is of curl
    for page in MARKDOWN:
        text = page.read_text(encoding="utf-8")
        for script in set(re.findall(r"python (benchmarks/\w+\.py)", text)):
            known |= set(re.findall(r'"(--[a-z][a-z-]+)"', (ROOT / script).read_text(encoding="utf-8")))
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
        assert not named - known, f"{page.name} names {sorted(named - known)}"


def test_what_runs_before_a_merge_is_told_and_runs_on_github_too_but_for_the_slow_tests():
    steps = re.findall(r"^step (make [\w-]+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    told = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert "before a merge: " + ", ".join(f"`{step}`" for step in steps) in told
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    quick = [step for step in steps if step != "make test-slow"]
    assert re.findall(r"^ +- run: (.+)$", workflow, re.MULTILINE) == quick


def test_the_page_of_exporting_shows_the_program_that_is_printed_and_names_every_format_and_key():
    assert snippet("onnx", Path("runs/demo/exports/model.onnx")) in blocks(DOCS["export"], "python")
    assert all(f"| `{name}` |" in DOCS["export"] for name in FORMATS)
    assert all(f"`{key}`" in DOCS["export"] for key in KEYS)


def test_the_page_of_classics_tells_the_recipes_that_its_benchmarks_follow():
    classics, gan = (runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py")) for name in ("classics", "gan"))
    recipes = [*classics["RBM_OPTIONS"].values()]
    recipes += [classics[name] for name in ("DBN_OPTIONS", "TUNING", "DREAM_OPTIONS")] + [gan["PLAIN"], gan["TRAINING"]]
    for recipe in recipes:
        assert ", ".join(f"{name}={value}" for name, value in recipe.items()) in DOCS["classics"]


def test_the_page_of_explanations_names_every_method():
    for method in (*METHODS, "feature_maps", "filters"):
        assert f"| `{method}` |" in DOCS["explain"]


def test_the_page_of_the_zoo_names_every_network_and_option():
    text = DOCS["zoo"]
    for name in convlens.zoo.names():
        assert f"`{name}`" in text or (name.endswith("_bn") and f"`{name.removesuffix('_bn')}`" in text), name
        assert all(f"`{option}`" in text for option in convlens.zoo.entry(name).options), name


def test_the_page_of_the_zoo_names_every_protocol_and_gated_network():
    gated = DOCS["zoo"].partition("The gates of squeeze and excite (")[2].partition(")")[0]
    for name, facts in convlens.zoo.FACTS.items():
        assert facts.protocol is None or f"`{facts.protocol}`" in DOCS["zoo"]
        assert facts.protocol not in ("10 crops", "dense") or f"`{name}`" in DOCS["zoo"].partition("**top-1**")[2], name
        if facts.gated:
            assert f"`{name}`" in gated or (name.startswith("mobilenet_v3") and "MobileNet v3" in gated), name
