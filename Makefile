# Everything is driven from here: `make build`, `sudo make test`, `sudo make demo`. Nothing else needs to be known to start.
BUILD  := build
CC     := gcc
CFLAGS_LIB := -std=gnu11 -O2 -g -Wall -Wextra -Werror -ffreestanding -fPIC -fvisibility=hidden -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -mgeneral-regs-only -ffixed-r15 -mno-red-zone -fcf-protection=none \
	-fno-tree-loop-distribute-patterns -Iinclude -Ipreload
LIB_C  := $(wildcard preload/*.c)
LIB_S  := $(wildcard preload/*.S)
LIB_O  := $(LIB_C:preload/%.c=$(BUILD)/preload/%.o) $(LIB_S:preload/%.S=$(BUILD)/preload/%.o)
LIB_H  := $(wildcard preload/*.h include/monmod/*.h) preload/libmonmod.lds

.PHONY: all build generate clean
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

clean:
	rm -rf $(BUILD)
