# SPDX-License-Identifier: MIT
#
# Variables: XFRMCTL_TEST_KERNEL (which kernels, default all), XFRMCTL_LAB_CACHE (where they
# are kept), FUZZTIME, DEMO_ARGS. See docs/testing.md.

GO ?= go
# the version comes from git, through Go's build information, where git works
VCS = $(shell git status >/dev/null 2>&1 && echo true || echo false)
FUZZTIME ?= 60s
DEMO_ARGS ?=
RUNNER = (cd tests && $(GO) build -buildvcs=false -o ../build/runner ./runner) && build/runner

.PHONY: build test lint fuzz bench differential enginebench interop hostile crash rotate scale canaries provision demo lab clean

build:
	CGO_ENABLED=0 $(GO) build -buildvcs=$(VCS) -trimpath -tags urfave_cli_no_docs -ldflags '-s -w' -o xfrmctl ./cmd/xfrmctl

test:
	@$(RUNNER) test

lint:
	@$(RUNNER) lint

fuzz:
	@$(RUNNER) fuzz -time $(FUZZTIME)

bench differential enginebench interop hostile crash rotate scale canaries provision:
	@$(RUNNER) $@

demo: build
	@tests/lab/demo.sh $(DEMO_ARGS)

lab:
	@tests/lab/setup.sh

clean:
	rm -rf xfrmctl build
