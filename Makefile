# The targets that README.md names, and what they need. `make` alone builds.
SHELL := /bin/bash
CORPUS ?= $(wildcard ../shared/corpus)
BENCH ?= ../shared/bench
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s
PACKAGES = g++ libhyperscan-dev pkg-config
# The second line is container runtimes, the last two are servers with their clients: tests run them in namespaces of their own, nothing of
# them is started otherwise.
TESTPACKAGES = iproute2 iputils-ping procps tcpreplay wireshark-common tshark systemd systemd-container \
	containerd runc containernetworking-plugins busybox-static podman docker.io iptables nftables conntrack \
	iodine dns2tcp ptunnel netcat-openbsd \
	postgresql mariadb-server mariadb-client redis-server redis-tools mosquitto mosquitto-clients nats-server rabbitmq-server amqp-tools \
	libdbd-mariadb-perl memcached nginx-light openssl curl openssh-server openssh-client dnsmasq bind9-dnsutils python3-aiosmtpd swaks
export CGO_ENABLED = 1

.PHONY: noise dlp-report build demo test race fuzz bench bench-live bench-dlp bench-inline conformance lint cover install check deps

build: deps
	go build -ldflags "-X weir/daemon.release=$(VERSION)" -o bin/weir ./cmd/weir

# What is missing is installed as root, and named otherwise.
deps:
	@.ci/deps $(PACKAGES)

demo: build
	@testdata/demo/run

test: build
	@.ci/deps --optional $(TESTPACKAGES)
	@CORPUS="$(abspath $(CORPUS))" .ci/test

race: deps
	go test -race ./...

fuzz: deps
	@.ci/fuzz $(FUZZTIME)

bench: build
	@testdata/bench/run "$(BENCH)"

bench-live: build
	@testdata/bench/live "$(MIX)" testdata/bench/rules-100.toml
	@testdata/bench/throughput

bench-dlp: build
	@testdata/bench/dlp-scan

# What holding packets costs: no queue, one that passes everything, the engine judging every message, and a connection that was cleared. The same with the daemon as it runs on a host; what
# a reload, an upgrade, kill -9 and SIGSTOP do to traffic; and 250 workloads with 10,000 rules.
bench-inline: deps
	go test -run '^$$' -bench Inline -benchtime 3s ./enforce
	go test -run '^$$' -bench 'Protect(Load|Outage|Many)$$' -benchtime 1x -timeout 30m .

conformance: deps
	@[ -n "$(CORPUS)" ] || { echo "make conformance: name the folder of public test suites: make conformance CORPUS=DIR" >&2; exit 2; }
	@CORPUS="$(abspath $(CORPUS))" go test -count=1 -run Conformance | grep -Ev '^(PASS|ok)\b'; exit $${PIPESTATUS[0]}

# A gigabyte of what looks like everything and is nothing: no alert of high confidence. Some minutes.
noise: deps
	NOISE=1GiB go test -count=1 -v -timeout 60m -run 'TestNoise$$' .

# What the rules find and what they take for it, into docs/dlp.md.
dlp-report: deps
	@[ -n "$(CORPUS)" ] || { echo "make dlp-report: name the folder of public test suites: make dlp-report CORPUS=DIR" >&2; exit 2; }
	@CORPUS="$(abspath $(CORPUS))" go test -count=1 -run 'Conformance(DLPWire|PII|Secrets)|TestNoise$$|TestDLPReport' . -update

lint: deps
	gofmt -l . | (! grep .)
	go vet ./...

cover: deps
	go test -coverpkg=./... -coverprofile=bin/cover.out ./... && go tool cover -func=bin/cover.out | tail -1

check: test

install: build
	install -D -m 0755 bin/weir $(DESTDIR)/usr/bin/weir
	install -D -m 0644 -t $(DESTDIR)/usr/lib/systemd/system systemd/weir.service systemd/weir-broker.service systemd/weir-broker.socket
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/weir README.md DESIGN.md RATIONALE.md LICENSE
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/weir/docs docs/*.md
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/weir/pcapstore pcapstore/FORMAT.md
	install -d -m 0755 $(DESTDIR)/usr/share/bash-completion/completions
	bin/weir completion bash > $(DESTDIR)/usr/share/bash-completion/completions/weir
	chmod 0644 $(DESTDIR)/usr/share/bash-completion/completions/weir
	install -d -m 0755 $(DESTDIR)/usr/share/man/man1
	bin/weir man $(DESTDIR)/usr/share/man/man1
	chmod 0644 $(DESTDIR)/usr/share/man/man1/weir*.1
	install -d -m 0755 $(DESTDIR)/etc/weir/rules.d $(DESTDIR)/etc/weir/policy.d $(DESTDIR)/usr/share/weir/rules
