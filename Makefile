# `make demo` and `make test` make their own environment; PYTHON=python3.12 picks another interpreter.
PYTHON ?= python3
VENV := .venv
PINS := --constraint .ci/constraints.txt
INSTALL = $(VENV)/bin/pip install --quiet --disable-pip-version-check $(PINS)
BIN := $(VENV)/bin
DEMO := .demo

.PHONY: demo test test-newest test-arm64 lint types check docs clean

$(VENV)/demo: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo 'installing PyTorch, ExecuTorch and what they need: minutes, without a word'
	$(INSTALL) --editable '.[run,convert]'
	@touch $@

$(VENV)/dev: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo 'installing PyTorch, ExecuTorch and what they need: minutes, without a word'
	$(INSTALL) --editable '.[all,dev]'
	@touch $@

# The embedded checkpoint, converted once, on the embedded film, while a pretended battery and heat play along: half an
# hour of them in half a minute. MODEL=veca.pte shows another model, FRAME=120 keeps another frame as a picture.
MODEL :=
FRAME := 190
demo: $(VENV)/demo
	@mkdir -p $(DEMO)
	VECA_EDGE_CACHE=$(DEMO) $(BIN)/veca-edge run $(MODEL) --source veca_edge/assets/demo.mp4 --headless --fit keep \
		--image-size 256 --trace veca_edge/assets/demo.jsonl --trace-speed 60 \
		--save $(DEMO)/demo.mp4 --log $(DEMO)/demo-log.jsonl
	@$(BIN)/python -c 'import cv2; film = cv2.VideoCapture("$(DEMO)/demo.mp4"); \
		film.set(cv2.CAP_PROP_POS_FRAMES, $(FRAME)); cv2.imwrite("$(DEMO)/demo.png", film.read()[1])'
	@echo 'watch $(DEMO)/demo.mp4 (a frame of it: $(DEMO)/demo.png)'
	@echo 'next: VECA_EDGE_CACHE=$(DEMO) $(BIN)/veca-edge run --serve 8080 shows your own camera in a browser; README.md has the rest'

test: lint types check

# The same with the newest PyTorch and ExecuTorch that pyproject.toml allows, in an environment of its own.
test-newest:
	$(MAKE) test VENV=.venv-newest PINS='--upgrade --upgrade-strategy=eager'

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/dev
	$(BIN)/mypy

# File after file on two workers; `.venv/bin/pytest FILE` runs one by itself.
check: $(VENV)/dev
	$(BIN)/pytest -n 2 --dist loadfile

# On emulated Arm processors: Linux on x86_64 with apt-get and the package indexes; elsewhere it says that and is done.
test-arm64: $(VENV)/dev
	$(BIN)/python .ci/arm64.py

# An HTML site of all pages and of the API: build/docs/index.html.
docs: $(VENV)/dev
	$(BIN)/python .ci/docs.py build/docs

clean:
	rm -rf .venv .venv-newest $(DEMO) build *.egg-info
