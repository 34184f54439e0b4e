# vnp: VirNucPro as Unix pipes. `make help` lists the targets.
VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=

# asan=1 builds with AddressSanitizer and UBSan, into a folder of its own.
ifeq ($(asan),1)
BUILD   := build/asan
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# The sanitizers' libraries into the binaries, where they ship a .a: the tests start thousands.
SANFLAGS += $(foreach l,asan ubsan,$(if $(filter /%,$(shell $(CC) -print-file-name=lib$l.a)),-static-lib$l))
OPT     ?= -O1 -g
else
BUILD   ?= build
OPT     ?= -O3 -g
endif
BIN := $(BUILD)/bin
# For the scripts; abspath would split a folder with a blank in its name.
VNP_BUILD := $(if $(filter /%,$(BUILD)),,$(CURDIR)/)$(BUILD)

# A short line a step; V=1 shows the commands instead.
Q    := $(if $(filter 1,$(V)),,@)
step  = $(if $Q,$(info $1))
# For a build that nobody gave a -j: one on each processor.
parallel = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

CC       ?= gcc
CPPFLAGS += -D_GNU_SOURCE -Icommon -Ikernels
CFLAGS   ?= $(OPT)
# Nothing here looks at traps; without -fno-trapping-math gcc makes no vectors of a loop with a choice in it, but for AVX-512.
VNP_CFLAGS := -std=c11 -fno-trapping-math -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -pthread $(SANFLAGS)
LIBS     := msgpackc zstd z jansson openblas
ifeq ($(STATIC),1) # third-party libraries into the binaries, where they ship a .a
LDLIBS   := $(foreach l,$(LIBS),$(if $(wildcard $(shell $(CC) -print-file-name=lib$l.a)),-l:lib$l.a,-l$l)) -lm -pthread
else # a stage loads what it uses: OpenBLAS alone takes longer to start than many a stage's work
LDLIBS   := -Wl,--as-needed $(LIBS:%=-l%) -lm -pthread
endif

COMMON_SRC := $(wildcard common/*.c) $(filter-out %_gpu.c,$(wildcard kernels/*.c))
STAGE_SRC  := $(filter-out stages/vnp-gpu-%,$(wildcard stages/*.c))
COMMON_OBJ := $(COMMON_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/version.o
STAGES     := $(STAGE_SRC:stages/%.c=$(BIN)/%)
UNIT_SRC   := $(filter-out tests/kernels-gpu/%,$(wildcard tests/*/test_*.c))
UNITS      := $(UNIT_SRC:tests/%.c=$(BUILD)/tests/%)
TOOLS      := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/*/tool_*.c)) # what the shell tests call
BENCHES    := $(filter-out lib gpu gpu-lib proof scaling predict,$(patsubst bench/%.sh,%,$(wildcard bench/*.sh)))
BENCH_SRC  := $(filter-out bench/gpu_%,$(wildcard bench/*.c)) # what makes their input
BENCH_TOOLS := $(BENCH_SRC:bench/%.c=$(BUILD)/bench/%)
# What the drivers share, beside the folder of the binaries.
DRIVER_LIB := $(BUILD)/lib/vnp
DRIVERS    := $(patsubst pipelines/%,$(BIN)/%,$(wildcard pipelines/vnp-*)) \
              $(patsubst pipelines/lib/%,$(DRIVER_LIB)/%,$(wildcard pipelines/lib/*))
PAGES      := $(wildcard man/*.[157])

# The GPU half: kernels/*.cu and the C around them (kernels/*_gpu.c) make libvnp_cuda.a. Without nvcc it is left out.
# GENCODE= names the targets: for one's own card `make GENCODE="-gencode arch=compute_90a,code=sm_90a"` builds faster.
NVCC ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
ifeq ($(asan),1)
NO_CUDA := the sanitizers do not see into it
else ifeq ($(NVCC),)
NO_CUDA := nvcc was not found (install the CUDA toolkit, or NVCC=/path/to/nvcc)
else
CUDA_HOME := $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
CUDA_INC  ?= $(CUDA_HOME)/include
CUDA_LIB  ?= $(firstword $(wildcard $(CUDA_HOME)/lib64 $(CUDA_HOME)/lib))
# From sm_80 to sm_89 the PTX is one and the same (no kernel asks __CUDA_ARCH__ for more), and is made once.
GENCODE   ?= -gencode arch=compute_80,code=[sm_80,sm_86,sm_89] -gencode arch=compute_90a,code=sm_90a \
             -gencode arch=compute_100,code=[sm_100,compute_100]
NVCCFLAGS ?= -O3 -lineinfo
VNP_NVCCFLAGS := -std=c++17 $(GENCODE) -Werror all-warnings -Xcompiler -Wall,-Wextra,-fno-exceptions,-fno-threadsafe-statics,-pthread
CUDA_LDLIBS := -L$(CUDA_LIB) -lcudart_static -ldl -lrt
CUDA_OBJ   := $(patsubst %,$(BUILD)/obj/%.o,$(wildcard kernels/*.cu)) \
              $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard kernels/*_gpu.c))
GPU_STAGES := $(patsubst stages/%.c,$(BIN)/%,$(wildcard stages/vnp-gpu-*.c))
GPU_UNITS  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/kernels-gpu/test_*.c))
GPU_BENCH  := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/gpu_*.c))
STAGES += $(GPU_STAGES)
UNITS  += $(GPU_UNITS)
$(CUDA_OBJ) $(BUILD)/obj/stages/vnp-gpu-%.o $(BUILD)/obj/tests/kernels-gpu/%.o $(BUILD)/obj/bench/gpu_%.o: \
  CPPFLAGS += -isystem $(CUDA_INC)
endif

## all: every binary this machine can build, in build/bin (asan=1: in build/asan/bin)
all: $(STAGES) $(DRIVERS)
	$(if $(NO_CUDA),@echo 'vnp-gpu-forward is not built: $(NO_CUDA)')

$(BUILD)/libvnp.a: $(COMMON_OBJ)
	$(call step,AR $@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Once: a missing library gets a line that names its package, before the compiler says it less well.
$(BUILD)/libraries:
	@.ci/deps check
	@mkdir -p $(@D) && touch $@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(BUILD)/libraries
	@mkdir -p $(@D)
	$(call step,CC $<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(VNP_CFLAGS) -MMD -MP -c -o $@ $<

$(BIN)/%: $(BUILD)/obj/stages/%.o $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,LD $@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BIN)/%: pipelines/%
	@mkdir -p $(@D)
	$(call step,CP $@)
	$(Q)install -m 755 $< $@

$(DRIVER_LIB)/%: pipelines/lib/%
	@mkdir -p $(@D)
	$(call step,CP $@)
	$(Q)install -m 755 $< $@

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,LD $@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BENCH_TOOLS): $(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,LD $@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/schemas/test_cddl $(BUILD)/tests/schemas/tool_cddl: $(BUILD)/obj/tests/schemas/cddl.o

ifndef NO_CUDA
$(BUILD)/libvnp_cuda.a: $(CUDA_OBJ)
	$(call step,AR $@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.cu.o: %.cu $(BUILD)/cuda-flags
	@mkdir -p $(@D)
	$(call step,NVCC $<)
	$(Q)$(NVCC) -Icommon -Ikernels $(NVCCFLAGS) $(VNP_NVCCFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $@ $<

$(GPU_STAGES): $(BIN)/%: $(BUILD)/obj/stages/%.o $(BUILD)/libvnp_cuda.a $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CUDA_LDLIBS) $(LDLIBS)

$(GPU_UNITS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libvnp_cuda.a $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CUDA_LDLIBS) $(LDLIBS) -lcmocka

$(GPU_BENCH): $(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(BUILD)/libvnp_cuda.a $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,LD $@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(CUDA_LDLIBS) $(LDLIBS)

$(BUILD)/bench/gemm_bench: bench/gemm_bench.cu $(BUILD)/libvnp_cuda.a $(BUILD)/libvnp.a
	@mkdir -p $(@D)
	$(call step,NVCC $@)
	$(Q)$(NVCC) -Icommon -Ikernels $(NVCCFLAGS) $(VNP_NVCCFLAGS) -o $@ $^ -L$(CUDA_LIB) -lcublasLt

$(BUILD)/cuda-flags: FORCE
	@mkdir -p $(@D)
	@echo '$(NVCC) $(NVCCFLAGS) $(VNP_NVCCFLAGS)' | cmp -s - $@ || \
	  echo '$(NVCC) $(NVCCFLAGS) $(VNP_NVCCFLAGS)' > $@
endif

# Rebuild when the flags change, and remember them for --version.
FLAGS_TEXT := $(CC) $(CPPFLAGS) $(CFLAGS) $(VNP_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@
$(BUILD)/obj/version.o: $(BUILD)/flags Makefile
	@mkdir -p $(@D)
	$(call step,CC version)
	$(Q)printf 'const char vnp_version[] = "%s";\nconst char vnp_build_flags[] = "%s";\n' '$(VERSION)' "$$(cat $(BUILD)/flags)" | \
	  $(CC) $(CFLAGS) -x c -c -o $@ -

## deps: install what is missing to build vnp (Debian, Ubuntu), or say what it is
deps:
	@.ci/deps

## demo: build, make a synthetic model, embed real proteins on whatever device there is, show what came out
demo: deps
	@$(MAKE) $(parallel) --no-print-directory all
	@VNP_BUILD='$(VNP_BUILD)' pipelines/demo

units: $(UNITS) $(TOOLS) $(BENCH_TOOLS)

## check: all tests, twice: as built for users, and under AddressSanitizer and UBSan; the pages are linted among them
check:
	@.ci/deps test
	$(MAKE) $(parallel) --no-print-directory all units
	$(MAKE) $(parallel) --no-print-directory asan=1 all units
	VNP_KILLS=$${VNP_KILLS:-25} VNP_TEST_JOBS=$${VNP_TEST_JOBS:-3} VNP_BUILDS='$(BUILD) build/asan' tests/run

## test: the tests once, on what `make` builds; WORDS='pack pool' picks test files by name
test: all units
	VNP_BUILDS='$(BUILD)' tests/run $(WORDS)

## check-kills: runs survive 200 random kills (make check: 25 of them)
check-kills: all units
	VNP_BUILDS='$(BUILD)' tests/run recovery/kills

## check-gpu: the tests that need a GPU, on a host that has one (elsewhere they skip, counted)
check-gpu: all units
	VNP_BUILDS='$(BUILD)' tests/run gpu

## bench: each CPU stage alone on a recorded stream, into RESULTS= (bench/results); WORDS='pack pool' picks some
RESULTS ?= bench/results
bench: bench-tools
	@for b in $(if $(WORDS),$(filter $(WORDS),$(BENCHES)),$(BENCHES)); do \
	  VNP_BUILD='$(VNP_BUILD)' RESULTS=$(RESULTS) BENCH_COMMAND="make bench WORDS=$$b" bench/$$b.sh || exit 1; echo; \
	done

bench-tools: $(STAGE_SRC:stages/%.c=$(BIN)/%) $(BENCH_TOOLS)

## bench-gemm: the matrix kernels beside cuBLASLt on this host's GPU; ARGS='-t 2 -r 32768 3B' narrows it
bench-gemm: $(BUILD)/bench/gemm_bench
	$(BUILD)/bench/gemm_bench $(ARGS)

## bench-gpu: the forward pass on the GPU, its kernels, the peers side by side, the whole pipeline; into RESULTS=
bench-gpu: gpu-tools
	VNP_BUILD='$(VNP_BUILD)' RESULTS=$(RESULTS) BENCH_COMMAND='make bench-gpu' bench/gpu.sh

## bench-scaling: vnp-embed over 1, 2, 4 ... GPUs, and what a kill and a restart cost; into RESULTS=
bench-scaling: gpu-tools
	VNP_BUILD='$(VNP_BUILD)' RESULTS=$(RESULTS) BENCH_COMMAND='make bench-scaling' bench/scaling.sh

## bench-predict: vnp-predict over a million reads with full-size models, seconds a stage; into RESULTS=
bench-predict: gpu-tools
	VNP_BUILD='$(VNP_BUILD)' RESULTS=$(RESULTS) BENCH_COMMAND='make bench-predict' bench/predict.sh

## proof-gpu: check-gpu's tests with the figures behind them, as a record; into RESULTS=
proof-gpu: gpu-tools
	VNP_BUILD='$(VNP_BUILD)' RESULTS=$(RESULTS) BENCH_COMMAND='make proof-gpu' bench/proof.sh

gpu-tools: all units $(GPU_BENCH)

## install: binaries and pages below PREFIX (default /usr/local); DESTDIR for packagers
install: all
	$(call step,INSTALL $(DESTDIR)$(PREFIX))
	$(Q)install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/vnp' $(foreach s,1 5 7,'$(DESTDIR)$(PREFIX)/share/man/man$s')
	$(Q)install -m 755 $(wildcard $(BIN)/*) '$(DESTDIR)$(PREFIX)/bin'
	$(Q)install -m 755 $(wildcard $(DRIVER_LIB)/*) '$(DESTDIR)$(PREFIX)/lib/vnp'
	$(Q)$(foreach s,1 5 7,install -m 644 $(filter %.$s,$(PAGES)) '$(DESTDIR)$(PREFIX)/share/man/man$s' &&) true

## dist: a tarball that runs where it is unpacked: third-party libraries are linked in
DIST := vnp-$(VERSION)-$(shell uname -s | tr A-Z a-z)-$(shell uname -m)
dist:
	$(MAKE) --no-print-directory STATIC=1 BIN=$(BUILD)/static all
	$(Q)rm -rf build/dist && mkdir -p build/dist/$(DIST)/bin build/dist/$(DIST)/man build/dist/$(DIST)/lib
	$(Q)cp $(BUILD)/static/* build/dist/$(DIST)/bin
	$(Q)cp -r $(DRIVER_LIB) build/dist/$(DIST)/lib
	$(Q)find build/dist/$(DIST)/bin -type f $(patsubst pipelines/%,! -name %,$(wildcard pipelines/vnp-*)) -exec strip {} +
	$(Q)cp $(PAGES) build/dist/$(DIST)/man
	$(Q)cp README.md LICENSE tests/data/proteins.faa build/dist/$(DIST)
	$(Q)tar -C build/dist -czf build/$(DIST).tar.gz --owner=0 --group=0 $(DIST)
	@echo build/$(DIST).tar.gz

## help: this list
help:
	@sed -n 's/^## //p' Makefile

clean:
	rm -rf build

.PHONY: all deps demo units check test check-kills check-gpu bench bench-tools bench-gemm bench-gpu bench-scaling bench-predict proof-gpu gpu-tools install dist help clean FORCE
.SECONDARY:
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
