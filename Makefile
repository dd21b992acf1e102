# `make demo` and `make test` need Python 3.11 or newer and the package index, and install all else by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PEERS := .venv-peers
# As many test processes as processors; the tests of one file stay together, for they share what they trained.
SHARED_OUT := -n auto --maxprocesses 8 --dist loadfile

.PHONY: demo test test-slow browser peers lint types install clean

demo: $(INSTALLED)
	$(BIN)/convlens demo

# One thread for each process: these networks are too small for more.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SHARED_OUT) -m "not slow and not browser"

# With all threads, as users have them; idle ones sleep.
test-slow: $(INSTALLED)
	GOMP_SPINCOUNT=1000 $(BIN)/python -m pytest $(SHARED_OUT) -m "slow and not browser"

# Pages in headless Chromium, which is installed where neither it nor Chrome is there.
browser: $(INSTALLED)
	command -v chromium || command -v google-chrome || command -v chromium-browser || { \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt playwright
	$(BIN)/python -m pytest -m browser tests/browser

# The zoo against torchvision and timm, which live in an environment of their own (torchvision never in ours).
peers: $(PEERS)/.installed
	$(PEERS)/bin/python benchmarks/peers/zoo.py

$(PEERS)/.installed: Makefile
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet torch==2.13.0 numpy pillow safetensors scikit-learn
	$(PEERS)/bin/python -m pip install --quiet --no-deps torchvision==0.28.0 timm==1.0.31 pyyaml huggingface_hub tqdm
	touch $(PEERS)/.installed

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'convlens needs Python 3.11 or newer; set PYTHON=')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache
