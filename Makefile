# The commands of this repository. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
export RINGMASTER_CACHE ?= $(HOME)/.cache/ringmaster
# Where the live tests find the jars of the real Kafka broker (one folder a version, filled by scripts/kafka/fetch).
export RINGMASTER_KAFKA_LIBS ?= $(RINGMASTER_CACHE)/kafka-4.3.1/libs

.PHONY: help demo scale-demo install test soak-sim chaos fuzz mutants bench bench-parked bench-instances bench-instructions kafka kafka-stop fmt lint deps audit setup rocksdb kafka-libs python promtool

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

demo: setup rocksdb ## 1,000 orders through coordinator and services, in one process (RATE=100 ORDERS=1000 DIR=folder)
	$(CARGO) build --locked --workspace --bin ringmaster-demo # of the whole workspace: the tests build it no second time
	"$${CARGO_TARGET_DIR:-target}"/debug/ringmaster-demo \
		--rate $(or $(RATE),100) --orders $(or $(ORDERS),1000) $(if $(DIR),--dir '$(DIR)')

scale-demo: setup rocksdb kafka-libs ## members of a service come, are killed and go by what is asked of it, on a Kafka broker of its own; exits 1 unless exact (RATE=300 LOAD=180 TAIL=150 KILL_EVERY=20)
	$(CARGO) build --locked --workspace --bins
	"$${CARGO_TARGET_DIR:-target}"/debug/scale-demo $(if $(RATE),--rate $(RATE)) $(if $(LOAD),--load $(LOAD)) \
		$(if $(TAIL),--tail $(TAIL)) $(if $(KILL_EVERY),--kill-every $(KILL_EVERY))

install: setup rocksdb ## the program, its pages for man and completions for bash, zsh and fish (PREFIX=/usr/local)
	$(CARGO) build --release --locked -p ringmaster
	@scripts/install.sh '$(or $(PREFIX),/usr/local)'

test: setup rocksdb kafka-libs python promtool ## all tests, the live ones on a real Kafka broker included (SEED=n repeats a run of the simulator, or of a random definition)
	@scripts/test.sh

soak-sim: setup rocksdb ## random definitions, or the protocol, under everything that can go wrong; exits 1 if anything does not hold (N=1000000 SAGAS=16|PROTOCOL=n SEED=n RESULTS=file)
	$(CARGO) build --locked --workspace --bin soak-sim
	"$${CARGO_TARGET_DIR:-target}"/debug/soak-sim $(if $(PROTOCOL),--protocol $(PROTOCOL),--definitions $(or $(N),1000000) $(if $(SAGAS),--sagas $(SAGAS))) \
		$(if $(SEED),--seed $(SEED)) $(if $(RESULTS),--results '$(RESULTS)')

chaos: setup rocksdb kafka-libs ## real processes on real brokers under load, one fault after the other; exits 1 if anything is lost or doubled (MINUTES=10 SEED=n ROUNDS=n FAULTS=class,class BROKERS=1|3 COORDINATORS=1|2|3 RATE=n RANDOM_RATE=n ANSWER_AFTER_MS=n PER_ROUND=n TOGETHER=share RESULTS=file JSON=1)
	$(CARGO) build --locked --workspace --bins
	"$${CARGO_TARGET_DIR:-target}"/debug/chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(FAULTS),--faults '$(FAULTS)') $(if $(BROKERS),--brokers $(BROKERS)) $(if $(COORDINATORS),--coordinators $(COORDINATORS)) \
		$(if $(RATE),--rate $(RATE)) $(if $(RANDOM_RATE),--random-rate $(RANDOM_RATE)) $(if $(ANSWER_AFTER_MS),--answer-after-ms $(ANSWER_AFTER_MS)) \
		$(if $(PER_ROUND),--per-round $(PER_ROUND)) $(if $(TOGETHER),--together $(TOGETHER)) $(if $(RESULTS),--results '$(RESULTS)') $(if $(JSON),--json)

fuzz: setup ## bytes that do harm, looked for in every decoder; exits 1 if there are any (TARGET=name SECONDS=60 KEEP=1)
	@scripts/fuzz.sh --seconds $(or $(SECONDS),60) $(if $(TARGET),--target '$(TARGET)') $(if $(KEEP),--keep)

mutants: setup rocksdb kafka-libs python promtool ## slips made in the sources, which tests must notice; some hours (SAMPLE=400 SEED=n ONLY=crate,FILE OWN=1 AGAIN=1 JSON=file)
	$(CARGO) run --locked -p ringmaster-mutants -- --sample $(or $(SAMPLE),400) $(if $(SEED),--seed $(SEED)) \
		$(if $(ONLY),--only '$(ONLY)') $(if $(JSON),--json '$(JSON)') $(if $(AGAIN),--again) $(if $(OWN),--own) $(if $(WITHOUT),--without '$(WITHOUT)')

bench: setup rocksdb kafka-libs ## tables, overload and latency curve, 30 minutes a bus (BUS=embedded|kafka CLIENT=librdkafka PARTICIPANTS=echo RATE= IN_FLIGHT= SECONDS= ROUNDS= JSON=1 AGAINST='command')
	$(CARGO) build --release --locked -p ringmaster -p ringmaster-bench
	for bus in $(or $(BUS),embedded kafka); do \
		"$${CARGO_TARGET_DIR:-target}"/release/ringmaster-bench --bus $$bus $(if $(RATE)$(IN_FLIGHT),,--all) $(if $(RATE),--rate $(RATE)) \
			$(if $(IN_FLIGHT),--in-flight $(IN_FLIGHT)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
			$(if $(PARTICIPANTS),--participants $(PARTICIPANTS)) $(if $(CLIENT),--client $(CLIENT)) $(if $(JSON),--json) $(if $(AGAINST),--against '$(AGAINST)') \
			$(if $(RATE)$(IN_FLIGHT),,--curve "$${CARGO_TARGET_DIR:-target}"/bench-$$bus.html) || exit; \
		$(if $(RATE)$(IN_FLIGHT),,"$${CARGO_TARGET_DIR:-target}"/release/ringmaster-bench --bus $$bus --participants echo --whole \
			$(if $(SECONDS),--seconds $(SECONDS)) --rounds $(or $(ROUNDS),3) $(if $(JSON),--json) || exit;) \
	done

bench-parked: setup rocksdb kafka-libs ## restart, takeover by a warm standby, disk and memory with many parked sagas; exits 1 above 400 bytes or 512 MiB (PARKED=1000000 ROUNDS=3 PARTITIONS=1 CLIENT=librdkafka JSON=1)
	$(CARGO) build --release --locked -p ringmaster -p ringmaster-bench
	"$${CARGO_TARGET_DIR:-target}"/release/ringmaster-bench parked --parked $(or $(PARKED),1000000) --rounds $(or $(ROUNDS),3) \
		$(if $(PARTITIONS),--partitions $(PARTITIONS)) $(if $(CLIENT),--client $(CLIENT)) $(if $(JSON),--json)

bench-instances: setup rocksdb kafka-libs ## three instances in turns with one, on one broker under the same load; 8 minutes (INSTANCES=3 PARTICIPANTS=echo RATE= IN_FLIGHT= SECONDS= ROUNDS=5 PARTITIONS=6 CLIENT=librdkafka JSON=1)
	$(CARGO) build --release --locked -p ringmaster -p ringmaster-bench
	"$${CARGO_TARGET_DIR:-target}"/release/ringmaster-bench instances $(if $(INSTANCES),--instances $(INSTANCES)) \
		$(if $(PARTICIPANTS),--participants $(PARTICIPANTS)) $(if $(RATE),--rate $(RATE)) $(if $(IN_FLIGHT),--in-flight $(IN_FLIGHT)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PARTITIONS),--partitions $(PARTITIONS)) \
		$(if $(CLIENT),--client $(CLIENT)) $(if $(JSON),--json)

bench-instructions: setup rocksdb ## what a saga costs, counted: allocations, bytes, instructions; exits 1 above bench/limits.toml (JSON=1)
	@scripts/setup.sh callgrind
	@scripts/instructions.py $(if $(JSON),--json)

kafka: setup ## a single-node Kafka broker in the foreground, data in .kafka/ (PORT=9092)
	@scripts/kafka/broker --port $(or $(PORT),9092) --dir .kafka || (($$? == 130 || $$? == 143)) # Ctrl-C, make kafka-stop

kafka-stop: ## stop the broker of `make kafka`, from another terminal
	@scripts/kafka/broker --stop --dir .kafka

fmt: ## format the code
	$(CARGO) fmt --all

lint: setup rocksdb ## formatting and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

deps: setup ## licences and sources of all dependencies against deny.toml
	@scripts/dependencies.py

audit: setup ## known vulnerabilities of dependencies (needs the advisory database, a git repository on the net)
	@scripts/audit.sh

setup: ## install what is missing (Debian packages; as root or with sudo)
	@scripts/setup.sh

rocksdb: setup ## build RocksDB once into the cache (3 to 5 minutes on 2 cores)
	@scripts/rocksdb.sh

kafka-libs: setup
	@scripts/kafka/fetch

# Without it the test of a service in Python is left out, loudly; all others run.
python: setup
	@scripts/python.sh >/dev/null || echo 'python: the service in Python will NOT be tested' >&2

promtool: setup
	@scripts/promtool.sh
