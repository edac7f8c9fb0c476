# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

# The tests whose results depend on the precision; without bfloat16 units it is emulated.
BF16_TESTS = tests/compute/test_precision.py tests/models/test_memory_reader.py \
  tests/models/test_target_decoder.py tests/models/test_target_net.py \
  tests/online_finetune/full_network/test_adapter.py \
  tests/online_finetune/target/test_adapter.py tests/online_finetune/target/test_adapter_views.py \
  tests/online_finetune/target/test_eight_bits.py \
  tests/online_finetune/target/test_shared_features.py \
  tests/online_finetune/target/test_training.py tests/tracking/test_shared_features.py

.PHONY: demo test test-bf16 docs env env-test env-docs env-dev lint types layers wheel clean

demo: env
	$(BIN)/vostrack track --video examples/crossing.mp4 --first-mask examples/crossing_first_mask.png \
	  --output out/demo --overwrite
	@echo "Open out/demo/overlay.mp4; the masks are in out/demo/masks"

# Where Python is told not to keep bytecode, pytest would prepare every test file again in each run.
unexport PYTHONDONTWRITEBYTECODE

# One process more than cores, with one thread each. tests/conftest.py says which files come first.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test: env-test
	$(PYTEST)

test-bf16: env-test
	VOSTRACK_TEST_BF16=1 $(PYTEST) $(BF16_TESTS)

# The site goes to site/; open site/index.html. Broken links, anchors and pictures are errors.
docs: env-docs
	$(BIN)/python scripts/write_command_reference.py
	$(BIN)/zensical build --clean --strict
	$(BIN)/python scripts/check_site.py

env: $(VENV)/.installed
env-test: $(VENV)/.installed-test
env-docs: $(VENV)/.installed-docs
env-dev: $(VENV)/.installed-dev

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test

lint: env-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env-dev
	$(BIN)/mypy

layers: env-dev
	$(BIN)/lint-imports

wheel: env-dev
	$(BIN)/python scripts/check_wheel.py

clean:
	rm -rf $(VENV) build dist out site docs/reference/commands.md *.egg-info .cache .pytest_cache .mypy_cache .ruff_cache
