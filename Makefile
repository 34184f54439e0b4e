# vnp: VirNucPro as Unix pipes. `make help` lists the targets.
VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=

# asan=1 builds with AddressSanitizer and UBSan, into a folder of its own.
ifeq ($(asan),1)
BUILD   := build/asan
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT     ?= -O1 -g
else
BUILD   := build
OPT     ?= -O3 -g
endif
BIN := $(BUILD)/bin

CC       ?= gcc
CPPFLAGS += -D_GNU_SOURCE -Icommon -Ikernels
CFLAGS   ?= $(OPT)
VNP_CFLAGS := -std=c11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -pthread $(SANFLAGS)
LDLIBS   := -lmsgpackc -lzstd -lz -ljansson -lopenblas -lm -pthread

COMMON_SRC := $(wildcard common/*.c) $(wildcard kernels/*.c)
STAGE_SRC  := $(wildcard stages/*.c)
COMMON_OBJ := $(COMMON_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/version.o
STAGES     := $(STAGE_SRC:stages/%.c=$(BIN)/%)
UNIT_SRC   := $(wildcard tests/*/test_*.c)
UNITS      := $(UNIT_SRC:tests/%.c=$(BUILD)/tests/%)
DRIVERS    := $(patsubst pipelines/%,$(BIN)/%,$(wildcard pipelines/vnp-*))
PAGES      := $(wildcard man/*.[157])

## all: every binary this machine can build, in build/bin (asan=1: in build/asan/bin)
all: $(STAGES) $(DRIVERS)

$(BUILD)/libvnp.a: $(COMMON_OBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c | $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(VNP_CFLAGS) -MMD -MP -c -o $@ $<

$(BIN)/%: $(BUILD)/obj/stages/%.o $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/%: pipelines/%
	@mkdir -p $(@D)
	install -m 755 $< $@

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# Rebuild when the flags change, and remember them for --version.
FLAGS_TEXT := $(CC) $(CPPFLAGS) $(CFLAGS) $(VNP_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@
$(BUILD)/obj/version.o: $(BUILD)/flags Makefile
	@mkdir -p $(@D)
	printf 'const char vnp_version[] = "%s";\nconst char vnp_build_flags[] = "%s";\n' '$(VERSION)' "$$(cat $(BUILD)/flags)" | \
	  $(CC) $(CFLAGS) -x c -c -o $@ -

## test: build and run the tests against build/bin; closes with 'N passed, N failed, N skipped'
test: all $(UNITS)
	VNP_BUILD=$(abspath $(BUILD)) tests/run

## help: this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

clean:
	rm -rf build

.PHONY: all test help clean FORCE
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
