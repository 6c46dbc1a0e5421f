# The two commands for a newcomer:  make test   make demo
# Every target first installs missing packages from Debian (scripts/install-dependencies; 0.3 s if there are none).
#
#   make test         check, build, recorded cases, set-ups, examples, then all tests
#   make demo         play a drain, a deploy and a crash on this machine, narrated; KEEP=1 leaves everything running
#   make build        build .build/release/nerve and .build/release/synapse
#   make check        formatter, layers, style, documents, commits, alert rules, shell and Python scripts
#   make figures      print the size of the sources, and how often they break the rules of docs/architecture.md
#   make unit         run the tests alone
#   make examples     run examples/ and monitoring/ on real servers
#   make conformance  run the cases recorded from upstream, and print how many hold
#   make conformance-upstream  have upstream's programs judge configure_nerve and configure_synapse (needs Python 3.8)
#   make deb          build the package, .build/deb/smartstack_*.deb, and run lintian on it
#   make test-package install, serve, upgrade and remove the package in a Debian of its own, and follow docs/install.md there
#   make test-versions  the same in Debian 12 and Debian 13
#   make test-inside  the tests in another release of Debian (INSIDE=trixie), made with debootstrap, with this Swift
#   make test-container  build the image of Containerfile with podman, and play the demo in it
#   make reproducible build the package in two folders, and compare the bytes
#   make chaos        play every fault of registry, network, disk and agents three times, and a herd of 50 hosts
#   make bench        print a table of measurements, without a verdict
#   make fleet        print what fleets of hosts cost their ensemble: measured with light sessions, and computed from there
#   make test-tsan    run the tests under ThreadSanitizer
#   make test-asan    run the tests under AddressSanitizer
#   make fuzz         look for bytes that a parser cannot stand, guided by coverage; TIME=60 is seconds for each parser
#   make format       rewrite the Swift sources in the project's format
#   make clean        remove what was built
#
# BASE=main is the commit that a change starts from: `check` reads the subjects of the commits since (default upstream/main).
# FILTER='ZooKeeper' limits test, unit, test-tsan and test-asan to suites whose names match the regular expression.
# HAPROXY=/path/to/haproxy has test and unit take that HAProxy in place of the installed one; as root.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# Tests find HAProxy where Debian installs it, the agents in PATH and in configurations: the other one is mounted there.
WITH = $(if $(HAPROXY),unshare --mount sh -c 'mount --bind "$$0" /usr/sbin/haproxy && exec "$$@"' $(HAPROXY))
SWIFT_SOURCES := Package.swift Sources Tests Benchmarks
# --disable-xctest: all tests are Swift Testing's; without it an empty XCTest run is printed first.
# At most WIDTH tests run at the same time, if the toolchain has the option (6.3). Without a limit twenty ZooKeepers start in
# the same second, and a deadline of seconds then says nothing about the code on two cores.
WIDTH := 6
AT_ONCE = $(shell swift test --help-hidden 2>/dev/null | grep -e --experimental-maximum-parallelization-width >/dev/null \
  && echo --experimental-maximum-parallelization-width $(WIDTH))
TEST = $(WITH) swift test --disable-xctest $(AT_ONCE) $(if $(FILTER),--filter '$(FILTER)')
# Imports must follow the declared dependencies, which scripts/check-layers compares with docs/architecture.md.
STRICT := --explicit-target-dependency-import-check error
# Linked as Debian does: relocations are resolved at the start and then read-only. The same bytes in any folder: no path of
# it in strings and debug information, no clang modules, whose names hold a hash of it, and no hashes of intermediate code.
RELEASE := -c release --static-swift-stdlib $(STRICT) -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now \
  -Xswiftc -file-prefix-map -Xswiftc $(CURDIR)=. -Xcc -ffile-prefix-map=$(CURDIR)=. \
  $(foreach flag,-no-clang-module-breadcrumbs -disable-incremental-llvm-codegen,-Xswiftc -Xfrontend -Xswiftc $(flag))
SHELL_SCRIPTS := scripts/install-dependencies scripts/inside scripts/lint-python scripts/python-tools scripts/newer-package scripts/copy-sources \
  scripts/reproducible scripts/container-test .ci/run packaging/build packaging/bin/synapse_qdisc_tool \
  packaging/debian/smartstack.postinst packaging/debian/smartstack.postrm examples/ambassador/link-variables \
  monitoring/nagios/check-agent monitoring/prometheus/synapse-metrics
PYTHON_SCRIPTS := $(addprefix scripts/,bench check-commits check-docs check-layers check-style demo examples figures fleet \
  package-test soak *.py */*.py) $(addprefix packaging/,manpages completions commands.py) \
  $(addprefix Tests/,Conformance/run Conformance/*.py SetUps/run SetUps/*.py BlastRadius/run BlastRadius/*.py Chaos/run Chaos/*.py Pages/run Upstream/run Upstream/*.py) examples/discovery-only/etc/synapse/tell-daemon

.PHONY: help dependencies peers build products deb test-package test-versions test-inside test-container reproducible check figures test unit conformance conformance-upstream examples demo bench fleet chaos test-tsan test-asan \
  fuzz format clean

help:
	@sed -n 's/^# \{0,1\}//; 1,/^FILTER/p' Makefile

dependencies:
	@scripts/install-dependencies

build: dependencies
	@$(MAKE) --no-print-directory products
	for name in nerve synapse; do
	  strip --strip-all -o .build/release/$$name.stripped .build/release/$$name
	  stat --printf "$$name: %s bytes stripped\n" .build/release/$$name.stripped
	done

check: dependencies
	@failed=0
	swift format lint --strict --recursive --parallel $(SWIFT_SOURCES) || failed=1
	(cd scripts && /usr/bin/python3 -B -m unittest --quiet checks.test_checks benchmarks.test_fleet) || failed=1
	scripts/check-layers || failed=1
	scripts/check-style || failed=1
	scripts/check-docs || failed=1
	scripts/check-commits $(BASE) || failed=1
	rules=monitoring/prometheus/smartstack.rules
	said=$$({ promtool check rules --lint-fatal $$rules.yml && promtool test rules $$rules.test.yml; } 2>&1) \
	  || { echo "$$said"; failed=1; }
	shellcheck $(SHELL_SCRIPTS) || failed=1
	scripts/lint-python $(PYTHON_SCRIPTS) || failed=1
	exit $$failed

figures:
	@scripts/figures

# The recorded cases and the examples run on the debug executables that the tests need. The tests come last, so that their
# own summary line ends the output.
test: check peers
	@swift build --build-tests $(STRICT)
	$(WITH) Tests/Conformance/run --bindir .build/debug
	$(WITH) Tests/SetUps/run --bindir .build/debug
	$(WITH) Tests/BlastRadius/run --bindir .build/debug
	# What matters here is that it comes true; make chaos measures how soon.
	$(WITH) Tests/Chaos/run --bindir .build/debug --fast --slack 4
	$(WITH) Tests/Pages/run --bindir .build/debug --only 0 --only 3 --only 60
	scripts/fleet --bindir .build/debug --quick
	$(WITH) scripts/examples --bindir .build/debug
	# A failed run repeats its failures at the end, where a reader of the last lines sees them.
	if ! $(TEST) --skip-build 2>&1 | tee .build/test.log; then
	  echo; grep -a '^✘' .build/test.log | cut -c 1-1000
	  exit 1
	fi

# The tests alone, without the checks and the recorded cases.
unit: dependencies peers
	@$(TEST)

# The tests' servers from PyPI; without a network those that need them are skipped.
peers: dependencies
	@scripts/python-tools moto 'moto[ec2,iam,s3]==5.2.1' flask flask-cors >/dev/null || true

conformance: dependencies
	@swift build $(STRICT)
	$(WITH) Tests/Conformance/run --bindir .build/debug

# Upstream's programs, on services that SEED makes. PyPI has paasta-tools; nerve-tools and synapse-tools come from their
# repositories unless NERVE_TOOLS and SYNAPSE_TOOLS are folders with their sources.
SEED ?= 1
NERVE_TOOLS ?= .build/upstream/nerve-tools
SYNAPSE_TOOLS ?= .build/upstream/synapse-tools

conformance-upstream: dependencies
	@tools=$$(PYTHON=$$(command -v $${PYTHON:-python3.8}) scripts/python-tools upstream paasta-tools==0.90.4 \
	  environment_tools==1.1.3 networkx==3.1 psutil)
	clone() { [ -d $$1 ] || git clone --quiet --depth 1 --branch $$2 https://github.com/Yelp/$${1##*/} $$1; }
	clone $(NERVE_TOOLS) v2.3.0
	clone $(SYNAPSE_TOOLS) v0.18.1
	swift build $(STRICT)
	Tests/Upstream/run --bindir .build/debug --python $$tools/python --nerve-tools $(NERVE_TOOLS) \
	  --synapse-tools $(SYNAPSE_TOOLS)/src --seed $(SEED)

examples: dependencies
	@swift build $(STRICT)
	scripts/examples --bindir .build/debug

chaos: build
	@Tests/Chaos/run --bindir .build/release --times 3

demo: build
	@scripts/demo --bindir .build/release $(if $(KEEP),--keep)

# Builds only the two executables, on a machine that has all dependencies.
products:
	@swift build $(RELEASE) --product nerve
	swift build $(RELEASE) --product synapse

# Installs what only the package needs.
deb: dependencies
	@scripts/install-dependencies debhelper lintian
	rm -rf .build/deb
	mkdir -p .build/deb
	DESTINATION=$(CURDIR)/.build/deb dpkg-buildpackage --build=binary --no-sign --no-check-builddeps \
	  --buildinfo-option=-u.build/deb --changes-option=-u.build/deb --buildinfo-file=.build/deb/smartstack.buildinfo \
	  --changes-file=.build/deb/smartstack.changes
	lintian --fail-on error,warning .build/deb/smartstack.changes
	ls -l .build/deb/*.deb

# The package that this Debian builds, on each of these releases.
RELEASES ?= bookworm

test-package: deb
	@scripts/install-dependencies debootstrap debhelper lintian
	scripts/newer-package
	for release in $(RELEASES); do
	  scripts/package-test .build/deb/smartstack_*.deb .build/newer/.build/deb/smartstack_*.deb --release $$release
	done

test-versions:
	@$(MAKE) --no-print-directory test-package RELEASES="bookworm trixie"

# The package is built in one Debian for all; this shows that the sources build and hold in another one, too.
INSIDE ?= trixie

test-inside:
	@scripts/install-dependencies debootstrap
	scripts/inside $(INSIDE) make test

test-container: dependencies
	@scripts/container-test

reproducible: dependencies
	@scripts/install-dependencies debhelper lintian
	scripts/reproducible

bench: build
	@swift build $(RELEASE) --product bench-evhttp
	scripts/bench --bindir .build/release

fleet: dependencies
	@swift build $(RELEASE) --product fleet-sessions
	scripts/fleet --bindir .build/release

# Each sanitizer has a build folder of its own, so that a switch does not rebuild everything. Everything is slower under it:
# fewer tests at once, and each waits longer. Their many agents need more instances of inotify than a host of few has.
SANITIZED = instances=/proc/sys/fs/inotify/max_user_instances; \
  [ "$$(cat $$instances)" -ge 1024 ] || { echo 1024 > $$instances; } 2>/dev/null || true; \
  export SMARTSTACK_TEST_PATIENCE=$${SMARTSTACK_TEST_PATIENCE:-10}
test-tsan test-asan: WIDTH := 2

test-tsan: dependencies
	@$(SANITIZED)
	TSAN_OPTIONS="halt_on_error=1 $${TSAN_OPTIONS:-}" $(TEST) --sanitize=thread --scratch-path .build-tsan

test-asan: dependencies
	@$(SANITIZED)
	export LSAN_OPTIONS="suppressions=$(CURDIR)/Tests/lsan-suppressions.txt print_suppressions=0 $${LSAN_OPTIONS:-}"
	# What was freed waits in a quarantine, which the tests of memory must not count.
	ASAN_OPTIONS="quarantine_size_mb=16 $${ASAN_OPTIONS:-}" $(TEST) --sanitize=address --scratch-path .build-asan

# libFuzzer and AddressSanitizer on the parsers of Tests/Fuzz/Parsers.swift, optimized as they ship; PARSER=yaml tries one
# of them, RUNS=1000000 counts inputs instead of seconds. What reaches new code is kept in .build-fuzz/corpus; a finding is
# a file in .build-fuzz, which `PARSER=yaml FILE=… make fuzz` tries again.
FUZZ := swift build -c release $(STRICT) --scratch-path .build-fuzz --product fuzz --sanitize fuzzer -Xswiftc -sanitize=address \
  -Xswiftc -sanitize-coverage=edge,trace-cmp,inline-8bit-counters,pc-table -Xswiftc -enable-testing
LIMIT = $(if $(RUNS),-runs=$(RUNS),-max_total_time=$(or $(TIME),60))

fuzz: dependencies
	@SMARTSTACK_FUZZ=1 $(FUZZ)
	export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
	for name in $(or $(PARSER),$$(.build-fuzz/release/fuzz)); do
	  echo "$$name"
	  mkdir -p .build-fuzz/corpus/$$name
	  nice .build-fuzz/release/fuzz $$name $(or $(FILE),$(LIMIT) -timeout=1 -detect_leaks=0 -print_final_stats=1 \
	    -artifact_prefix=.build-fuzz/$$name- .build-fuzz/corpus/$$name Tests/Fuzz/corpus/$$name) \
	    > .build-fuzz/$$name.log 2>&1 || { tail -n 40 .build-fuzz/$$name.log; exit 1; }
	  grep -E '^stat::(number_of_executed_units|slowest_unit)|^#.*DONE' .build-fuzz/$$name.log
	done

format:
	@swift format --in-place --recursive --parallel $(SWIFT_SOURCES)

clean:
	@rm -rf .build .build-*
