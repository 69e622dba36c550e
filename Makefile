# Everything is driven from here: `make build`, `sudo make test`, `sudo make demo`. Nothing else needs to be known to start.
BUILD  := build
CC     := gcc
CFLAGS_LIB := -std=gnu11 -O2 -g -Wall -Wextra -Werror -ffreestanding -fPIC -fvisibility=hidden -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -mgeneral-regs-only -ffixed-r15 -mno-red-zone -fcf-protection=none \
	-fno-tree-loop-distribute-patterns -Iinclude -Ipreload
LIB_C  := $(wildcard preload/*.c)
LIB_S  := $(wildcard preload/*.S)
LIB_O  := $(LIB_C:preload/%.c=$(BUILD)/preload/%.o) $(LIB_S:preload/%.S=$(BUILD)/preload/%.o)
LIB_H  := $(wildcard preload/*.h preload/*.inc include/monmod/*.h) preload/libmonmod.lds
PREFIX ?= /usr/local
SHELL  := /bin/bash -o pipefail

# What scripts/deps fetches goes first; sudo leaves /usr/local/go out.
export PATH := /usr/local/lib/monmod-go/bin:$(PATH):/usr/local/go/bin
export GOFLAGS ?= -buildvcs=false

# The control plane runs under the race detector. The others start servers and engines, and one package at a time, because
# they measure what programs do and not how busy a small machine is.
RACED  := ./hooks/... ./runtime/... $(patsubst %,./%/...,$(filter-out %/dockerd %/ociimage,$(wildcard internal/*)))
SERIAL := ./docs ./packaging ./cmd/... ./examples/... ./test/... ./internal/dockerd ./internal/ociimage

.PHONY: all build generate clean deps test test-guest demo bench bench-guest soak soak-guest install lint
all: build
build: $(BUILD)/libmonmod.so go-build

$(BUILD)/preload/%.o: preload/%.c $(LIB_H)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_LIB) -c $< -o $@
$(BUILD)/preload/%.o: preload/%.S $(LIB_H)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_LIB) -c $< -o $@
$(BUILD)/libmonmod.so: $(LIB_O)
	$(CC) -nostdlib -shared -Wl,-T,preload/libmonmod.lds -Wl,-z,defs -Wl,-z,text -Wl,-z,noexecstack -Wl,--hash-style=both \
		-Wl,-e,mm_start -Wl,-init,mm_preload -Wl,-soname,libmonmod.so -Wl,--build-id=none -o $@ $(LIB_O)
	@chmod 755 $@

.PHONY: go-build
go-build:
	@mkdir -p $(BUILD)
	go build -o $(BUILD)/monmod ./cmd/monmod
	go build -o $(BUILD)/monmod-runtime ./cmd/monmod-runtime

generate:
	go generate ./internal/abi ./internal/syscalls

deps:
	scripts/deps

test: deps
	@$(MAKE) -s build
	@{ go test -json -count 1 -race -p 2 -timeout 10m $(RACED); a=$$?; go test -json -count 1 -p 1 -timeout 25m $(SERIAL) && exit $$a; } | go run ./test/count

# The part of `make test` that boots other kernels in QEMU, with MONMOD_SOAK=1 every test with each of them.
test-guest: deps
	@$(MAKE) -s build
	go test -v -count 1 -timeout $(if $(MONMOD_SOAK),0,30m) ./test/guest/...

demo: deps
	@$(MAKE) -s build
	go run ./examples/demo --engine $(or $(ENGINE),runc)

bench: build
	go run ./test/bench -against runc -out docs/benchmarks.md

# What single calls cost by the kernel module, counted in instructions by emulated machines.
bench-guest: build
	go run ./test/bench/kmod -out docs/benchmarks-kmod.md

# Hours: every program 50 times in every way, quiet and under load, then every fuzz target for FUZZTIME, then soak-guest. An interrupted
# one goes on where it was, as long as what was built is the same (the journal is in build/soak).
soak: build
	MONMOD_SOAK=$(or $(MONMOD_SOAK),50) MONMOD_SOAK_TABLE=docs/compatibility.md go test -timeout 0 -count 1 -run '^TestSoak$$' ./test/programs
	scripts/fuzz $(or $(FUZZTIME),1m)
	@$(MAKE) -s soak-guest

# The kernel module in a kernel that looks for its mistakes, which is compiled once (half an hour of a processor's time).
soak-guest: deps
	@$(MAKE) -s build
	MONMOD_GUEST_KERNELS=6.1-sanitized go test -v -count 1 -timeout 0 \
		-run '^Test(Boots|SanitizersSee|Module|Clients|Breakouts|DoorsToTheKey|Loads|Conformance|Programs)$$' ./test/guest

install:
	@packaging/install "$(BUILD)" "$(DESTDIR)" "$(PREFIX)"

lint:
	scripts/lint

clean:
	rm -rf $(BUILD)
