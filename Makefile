# SPDX-License-Identifier: GPL-2.0
# The front door: `make help`.  Each target sets up what it needs, and is quick
# when there is nothing to do.  The work is done by tools/.

export KVER LINUX STOCK JOBS CONFIG TEST_MINUTES PHASE PACKAGE

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test test-all soak bisect-check pairs tree take kernel kernel-debug kernel-stock series lint bench suites fuzz fuzz-kernel coverage mutate deb convert-dist help clean

run:
	@tools/run

test:
	@tools/setup fetch && tools/test

test-all:
	@tools/setup fetch && tools/test --all

soak:
	@. tools/lib.sh; tools/setup fetch series build run test && build_kernel debug && build_kernel kcsan && newer_debian && \
		python3 tools/areas.py image && tools/soak "$$OUT"

bisect-check:
	@tools/setup fetch series build run compile && tools/bisect-check

pairs:
	@. tools/lib.sh; tools/setup fetch series build run test && build_kernel debug && build_kernel live && \
		build_kernel live-stock && python3 tools/areas.py image && tools/pairs --stock "$$OUT"

lint:
	@tools/setup lint && tools/lint

tree:
	@. tools/lib.sh; patched_tree

series: tree
	@. tools/lib.sh; python3 tools/series.py export "$$TREE" "$$OUT/series" $${PHASE:+--phase "$$PHASE"}

take:
	@. tools/lib.sh; tools/setup fetch series; python3 tools/series.py take "$$TREE"

kernel:
	@. tools/lib.sh; build_kernel $(if $(STOCK),stock,run)

kernel-debug kernel-stock:
	@. tools/lib.sh; build_kernel $(@:kernel-%=%)

bench:
	@. tools/lib.sh; tools/setup fetch series build run bench && \
		for k in run bench-stock bench bench-notrace bench-hard-stock bench-hard; do build_kernel $$k || exit; done && \
		build_guest && tools/bench "$$OUT"

suites:
	@. tools/lib.sh; tools/setup fetch series build run suites && build_kernel live-stock && build_kernel live && \
		newer_debian && build_guest && tools/suites "$$OUT"

fuzz:
	@tools/setup fetch series fuzz && . tools/lib.sh && patched_tree && tools/user fuzz

fuzz-kernel:
	@tools/setup fetch && FUZZ_RUNS=$${FUZZ_RUNS:-100000} tools/test kcov

coverage:
	@tools/setup fetch && tools/coverage

mutate:
	@tools/setup fetch series user && . tools/lib.sh && patched_tree && tools/mutate

deb:
	@. tools/lib.sh; tools/setup fetch series build deb && patched_tree && tools/deb

convert-dist:
	@tools/setup fetch && tools/convert-dist

clean:
	rm -rf build

help:
	@echo 'make run           fetch, patch and build Linux, boot it, prove it'
	@echo '     test          the tests, on debug kernels; what is listed below is extra'
	@echo '     test-all      these, and those that need more kernels: it says how long it takes'
	@echo '     soak          a million races on two kernels, for SOAK_MINUTES (180) at most'
	@echo '     bisect-check  each commit on its own: compiles, boots, passes KUnit'
	@echo '     pairs         exporters against importers, stock against patched'
	@echo '     tree          the patched tree in build/KVER/linux'
	@echo '     kernel        the small kernel of run'
	@echo '     kernel-debug  the kernel of test'
	@echo '     kernel-stock  the small kernel without the series'
	@echo '     series        the patches, ready to mail, in build/KVER/series/<phase>'
	@echo '     take          commits made in the tree, back into series/ and linux/'
	@echo '     lint          checks that take seconds'
	@echo '     bench         instructions, stock against patched'
	@echo '     suites        tests that others wrote, stock against patched'
	@echo '     fuzz          the core in user space, for FUZZ_SECONDS (60)'
	@echo '     fuzz-kernel   the ioctls, led by KCOV, FUZZ_RUNS (100000) programs'
	@echo '     coverage      which of our lines the tests in the kernel reach'
	@echo '     mutate        seeded faults, and which test finds each'
	@echo '     deb           kernel and lsdmabuf as Debian packages, in build/KVER/deb'
	@echo '     convert-dist  tools/convert as one archive, in build/convert'
	@echo '     clean         remove build/, downloads included'
	@echo
	@echo 'KVER=7.3           version of linux-source: 7.3, 7.2; default is the newest at your mirror'
	@echo 'TEST_MINUTES=n     test: leave out what could not end within n minutes'
	@echo 'LINUX=/path        use the commit checked out there instead; it is only read'
	@echo 'PHASE=1-fixes      series: that phase only'
	@echo 'STOCK=1            run and kernel: without the series, to compare'
	@echo 'CONFIG=/path       deb: configured like this; default is the running kernel'
	@echo 'PACKAGE=lsdmabuf    deb: the tool without a kernel'
	@echo 'JOBS=n             compile jobs, one for each CPU by default'
	@echo 'FETCH_MIRROR=url   the Debian archive, by default the one of apt'
	@echo 'NEED_GB=n          go on with n GB of free disk'
	@echo 'SOAK_ROUNDS=n      soak: how many races (1000000); SOAK_SEED=n the first seed'
	@echo 'FUZZ_SEED=n        fuzz-kernel: seed (1); FUZZ_KEEP=1 keeps what reaches more'
