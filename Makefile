# make test    installs what the tests need if it is missing, then runs every test; then, in a
#              build that is optimised otherwise, the one that all builds must decide alike
# make lint    formatting, clippy and documentation, warnings denied
# make soak    the long runs: many seeds, many kills; the 200,000 seeds of the simulation take about
#              nine minutes of processor time, the 200 kills about one
# make fuzz    coverage-guided, with cargo-fuzz and a nightly compiler (fuzz/README.md); FUZZ_S seconds
#              for each target
# make tools   only installs
#
# IOC_TEST_NATS_SERVER=FILE and IOC_TEST_MOSQUITTO=FILE are other servers than those that are
# installed, for the tests and the benches.

CARGO ?= cargo
TOOLS := curl:curl mosquitto:mosquitto mosquitto_pub:mosquitto-clients nats-server:nats-server chromium:chromium node:nodejs
export PATH := $(PATH):/usr/sbin

.PHONY: test lint soak fuzz tools

test: tools
	$(CARGO) test --release -p ioc-core --test judgement p2_another_build
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace; \
	else \
		$(CARGO) test --workspace; \
	fi

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

soak: tools
	PROPTEST_CASES=20000 $(CARGO) test --release -p ioc-core --test judgement
	IOC_TEST_SEEDS=200000 $(CARGO) test --release -p ioc --test simulation
	PROPTEST_CASES=20000 $(CARGO) test --release -p ioc-gateway --lib mqtt
	PROPTEST_CASES=20000 $(CARGO) test --release -p ioc-gateway --lib formats
	PROPTEST_CASES=200000 $(CARGO) test --release -p ioc-gateway --lib fuzzing::tests
	$(CARGO) check --manifest-path fuzz/Cargo.toml --no-default-features
	IOC_TEST_KILLS=200 $(CARGO) test --release -p ioc --test end_to_end kill
	IOC_TEST_FLAP_S=300 $(CARGO) test --release -p ioc --test end_to_end -- flaps makes_its_way shared_subscription_loses
	IOC_TEST_FLOOD_S=3600 $(CARGO) test --release -p ioc --test end_to_end flood
	IOC_TEST_TMPFS=1 $(CARGO) test --release -p ioc --test end_to_end full_disk

FUZZ_S ?= 60
fuzz:
	for target in $$(ls fuzz/fuzz_targets | sed 's/\.rs$$//'); do \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_S) || exit 1; \
	done

# command:package, installed from Debian's archive where the command is missing.
tools:
	@missing=""; \
	for each in $(TOOLS); do \
		command -v $${each%%:*} >/dev/null 2>&1 || missing="$$missing $${each##*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "the tests need:$$missing"; \
		echo "install them with: sudo apt-get install --no-install-recommends$$missing"; \
		exit 1; \
	fi
