"""Run the Python snippets of README, docs/ and cluster/README.md in a stand-in for a checkout."""

import re
import shutil
from pathlib import Path

import pytest

from fwdecg.model import SurrogateConfig
from fwdecg.training.export import export_surrogate
from fwdecg.training.trained_surrogate import load_surrogate
from fwdecg.training.trainer import train
from fwdecg.training.training_config import TrainingConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "cluster/README.md"]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITH_SNIPPETS = [page for page in PAGES if SNIPPET.search(page.read_text())]


@pytest.fixture(scope="module")
def after_quickstart(small_library, tmp_path_factory):
    """A checkout with quickstart results, from a smaller library and network."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("docs", "jobs"):
        (folder / name).symlink_to(ROOT / name)
    results = folder / "results/quickstart"
    shutil.copytree(small_library.store.folder, results / "library")
    model = SurrogateConfig(hidden_size=4, channels=(2, 2), time_embedding_size=4, readout_size=4)
    train(small_library, model, TrainingConfig(epochs=1, workers=0), results / "training")
    trained = load_surrogate(results / "training/best.safetensors")
    export_surrogate(trained, results / "training/export", onnx=False)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_of_a_page_run_one_after_another(page, after_quickstart, monkeypatch):
    monkeypatch.chdir(after_quickstart)
    text = page.read_text()
    names = {"__name__": "snippets"}
    for match in SNIPPET.finditer(text):
        # Empty lines before the snippet make a traceback show the line number of the page.
        above = "\n" * (text.count("\n", 0, match.start()) + 1)
        exec(compile(above + match[1], str(page), "exec"), names)
    assert len(names) > 2


def test_the_readme_has_snippets():
    assert ROOT / "README.md" in WITH_SNIPPETS
