# The two commands for a newcomer:  make test   make demo
# Every target installs what it needs from Debian first (scripts/install-dependencies; nothing to do: 0.3 s).
#
#   make test         check, build, recorded cases, set-ups, examples, unit to integration tests; what .ci/run runs
#   make demo         the whole path on this machine, narrated; make demo KEEP=1 leaves it running to play with
#   make build        .build/release/nerve and .build/release/synapse
#   make check        formatter, layers, banned calls, lengths, scripts, documents against sources, alert rules
#   make figures      size of the sources, and how often they break the rules of docs/architecture.md
#   make unit         the tests alone
#   make examples     what examples/ and monitoring/ show, on real servers
#   make conformance  cases recorded from the original programs against the build, and how many hold
#   make deb          the package: .build/deb/smartstack_*.deb, and what lintian says of it
#   make test-package what an operator does with it, in a Debian of its own: install, serve, upgrade, remove
#   make bench        a table of measurements; judges nothing
#   make test-tsan    the tests under ThreadSanitizer      make test-asan   under AddressSanitizer
#   make fuzz         the seeded fuzz tests with a new seed each round, until one fails
#   make format       rewrites the Swift sources in the project's format
#   make clean
#
# BASE=main names the commit that a change starts from, whose commits' subjects `check` reads (upstream/main by default).
# FILTER='ZooKeeper' narrows test, test-tsan and test-asan to suites whose name matches.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

SWIFT_SOURCES := Package.swift Sources Tests Benchmarks
# --disable-xctest: the tests are Swift Testing's; without it an empty XCTest run is printed first.
# At most six tests side by side, where the toolchain knows how (6.3): all at once would start twenty ZooKeepers in the
# same second, and on two cores a deadline of seconds then says nothing about the code.
WIDTH = $(shell swift test --help-hidden 2>/dev/null | grep -e --experimental-maximum-parallelization-width >/dev/null \
  && echo --experimental-maximum-parallelization-width 6)
TEST = swift test --disable-xctest $(WIDTH) $(if $(FILTER),--filter '$(FILTER)')
# Imports must follow the declared dependencies (scripts/check-layers holds those to the architecture).
STRICT := --explicit-target-dependency-import-check error
# As Debian links everything: relocations are resolved at the start and then read-only.
RELEASE := -c release --static-swift-stdlib $(STRICT) -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now
SHELL_SCRIPTS := scripts/install-dependencies scripts/lint-python scripts/newer-package .ci/run packaging/build \
  packaging/debian/smartstack.postinst packaging/debian/smartstack.postrm examples/ambassador/link-variables \
  monitoring/nagios/check-agent monitoring/prometheus/synapse-metrics
PYTHON_SCRIPTS := $(addprefix scripts/,bench check-commits check-docs check-layers check-style demo examples figures \
  package-test soak *.py */*.py) $(addprefix packaging/,manpages completions commands.py) \
  $(addprefix Tests/,Conformance/run Conformance/*.py SetUps/run SetUps/*.py) examples/discovery-only/etc/synapse/tell-daemon

.PHONY: help dependencies build products deb test-package check figures test unit conformance examples demo bench test-tsan test-asan \
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

# The recorded cases and the examples run on the debug executables that the tests need anyway. The tests come last, so
# that their own summary line ends the output.
test: check
	@swift build --build-tests $(STRICT)
	Tests/Conformance/run --bindir .build/debug
	Tests/SetUps/run --bindir .build/debug
	scripts/examples --bindir .build/debug
	# Of a failed run the failures once more at the end: who sees the last lines only is to know what it was.
	if ! $(TEST) --skip-build 2>&1 | tee .build/test.log; then
	  echo; grep -a '^✘' .build/test.log | cut -c 1-1000
	  exit 1
	fi

# The tests alone, without the checks and the recorded cases.
unit: dependencies
	@$(TEST)

conformance: dependencies
	@swift build $(STRICT)
	Tests/Conformance/run --bindir .build/debug

examples: dependencies
	@swift build $(STRICT)
	scripts/examples --bindir .build/debug

demo: build
	@scripts/demo --bindir .build/release $(if $(KEEP),--keep)

# The two executables and nothing else, for a machine on which all they need is installed.
products:
	@swift build $(RELEASE) --product nerve
	swift build $(RELEASE) --product synapse

# What only the package needs is installed here, not for everybody.
deb: dependencies
	@scripts/install-dependencies debhelper lintian
	rm -rf .build/deb
	mkdir -p .build/deb
	DESTINATION=$(CURDIR)/.build/deb dpkg-buildpackage --build=binary --no-sign --no-check-builddeps \
	  --buildinfo-option=-u.build/deb --changes-option=-u.build/deb --buildinfo-file=.build/deb/smartstack.buildinfo \
	  --changes-file=.build/deb/smartstack.changes
	lintian --fail-on error,warning .build/deb/smartstack.changes
	ls -l .build/deb/*.deb

test-package: deb
	@scripts/install-dependencies debootstrap debhelper lintian
	scripts/newer-package
	scripts/package-test .build/deb/smartstack_*.deb .build/newer/.build/deb/smartstack_*.deb

bench: build
	@swift build -c release --static-swift-stdlib --product bench-evhttp
	scripts/bench --bindir .build/release

# Each sanitizer has a build folder of its own: mixing them would rebuild everything at every change of mind.
test-tsan: dependencies
	@TSAN_OPTIONS="halt_on_error=1 $${TSAN_OPTIONS:-}" $(TEST) --sanitize=thread --scratch-path .build-tsan

test-asan: dependencies
	@LSAN_OPTIONS="suppressions=$(CURDIR)/Tests/lsan-suppressions.txt $${LSAN_OPTIONS:-}" $(TEST) --sanitize=address --scratch-path .build-asan

# Fuzz tests have "fuzz" in their name and read two variables: SMARTSTACK_FUZZ_SEED (decimal; a fixed one without it,
# printed by a failing test) and SMARTSTACK_FUZZ_ROUNDS (inputs per parser; few without it).
fuzz: dependencies
	@swift build --build-tests
	while true; do
	  seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	  echo "SMARTSTACK_FUZZ_SEED=$$seed"
	  SMARTSTACK_FUZZ_SEED=$$seed SMARTSTACK_FUZZ_ROUNDS=$${SMARTSTACK_FUZZ_ROUNDS:-20000} \
	    swift test --disable-xctest --skip-build --filter '[fF]uzz'
	done

format:
	@swift format --in-place --recursive --parallel $(SWIFT_SOURCES)

clean:
	@rm -rf .build .build-tsan .build-asan
