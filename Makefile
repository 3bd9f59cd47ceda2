# llava-eval -- make help says what there is.
#
# What the build needs stands in variables of its own; CFLAGS, CXXFLAGS, CPPFLAGS, LDFLAGS and LDLIBS
# are the user's. Objects go to $(B)/<source path>.o, so the source tree stays clean. Nothing is asked
# of pkg-config: `make deps` may install the libraries in the very run that links them.

SHELL := /bin/sh
.SUFFIXES:
.DELETE_ON_ERROR:

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
CFLAGS   ?= -O2 -g
CXXFLAGS ?= -O2 -g

prefix  ?= /usr/local
bindir  ?= $(prefix)/bin
datadir ?= $(prefix)/share
mandir  ?= $(datadir)/man

B := build
ifdef SANITIZE
B := build/sanitize
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow
ifdef WERROR
WARNINGS += -Werror
endif
# What a wrong write or a guessed address must get past. Sanitizers bring their own.
ifndef SANITIZE
HARDENED  := -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE \
             $(if $(filter -O1 -O2 -O3 -Os -Ofast,$(CFLAGS)),-D_FORTIFY_SOURCE=2)
LINK_HARD := -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif
# No -ffast-math and no contraction: pixels and replies must not depend on the compiler's taste.
NEEDED   := -I. -D_GNU_SOURCE -DDEMO_DIR='"$(datadir)/llava-eval/demo"' -ffp-contract=off -fopenmp -pthread -MMD -MP \
            $(WARNINGS) $(SANITIZERS) $(HARDENED)
C_FLAGS   = -std=c11 -Wstrict-prototypes $(NEEDED) $(CPPFLAGS) $(CFLAGS)
CXX_FLAGS = -std=c++17 $(NEEDED) $(CPPFLAGS) $(CXXFLAGS)
# CUDA is used where it is found and left out by CUDA=0; nothing else in the build depends on it.
CUDA ?= 1
ifneq ($(CUDA),0)
NVCC := $(shell command -v nvcc 2>/dev/null)
endif
ifneq ($(NVCC),)
CUDA_HOME ?= $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
CUDA_LIB  := $(firstword $(wildcard $(CUDA_HOME)/lib64 $(CUDA_HOME)/targets/$(shell uname -m)-linux/lib $(CUDA_HOME)/lib))
HAVE_CUDA := $(firstword $(wildcard $(CUDA_HOME)/include/cublasLt.h /usr/include/cublasLt.h))
endif
ifneq ($(HAVE_CUDA),)
CUDA_FOUND := $(NVCC), for sm_80, sm_90 and newer
CUDA_FLAGS := -isystem $(CUDA_HOME)/include
CUDA_ARCHS := -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]
NVCC_FLAGS  = -std=c++17 -O2 $(CUDA_ARCHS) --threads 2 -I. -Xcompiler -Wall,-Wextra,-fPIC \
              $(if $(WERROR),-Werror all-warnings) -MMD -MP $(NVCCFLAGS)
# cuBLASLt is loaded when a GPU is used (engine/backend_cublas.c); here is only where it lies.
LIBS_CUDA  := $(addprefix -L,$(CUDA_LIB)) $(CUDA_LIB:%=-Wl,-rpath,%) -lcudart_static -ldl -lrt
else
CUDA_FOUND := $(if $(NVCC),$(NVCC) but no cublasLt.h,$(if $(filter 0,$(CUDA)),left out,no nvcc)): a program for the CPU alone
endif

LIBS_ENGINE  := -ljpeg $(if $(JPEG_ONLY),,-lpng -lwebp) -lsentencepiece -lm $(LIBS_CUDA)
LIBS_HARNESS := -lsqlite3 -lcurl -lcjson -larchive -lxlsxwriter
LINK      = $(CXX) -fopenmp -pthread $(SANITIZERS) $(LINK_HARD) $(CXXFLAGS) $(LDFLAGS) -o $@

# FFmpeg's libraries cut frames out of SEED-Bench's videos. They are used where they are, and not asked
# for by `make deps`; FFMPEG=0 leaves them out.
ifndef FFMPEG
FFMPEG := $(shell $(CC) $(CPPFLAGS) -E -x c /dev/null -include libavcodec/avcodec.h -include libavformat/avformat.h \
            -include libswscale/swscale.h >/dev/null 2>&1 && echo 1 || echo 0)
endif
ifeq ($(FFMPEG),1)
LIBS_HARNESS += -lavformat -lavcodec -lswscale -lavutil
endif

PACKAGES := gcc g++ libsqlite3-dev libcurl4-openssl-dev libcjson-dev libarchive-dev libjpeg-dev libpng-dev \
            libwebp-dev libsentencepiece-dev libxlsxwriter-dev

ifdef JPEG_ONLY
NEEDED += -DJPEG_ONLY
endif

objects = $(patsubst %,$(B)/%.o,$(1))
KERNELS_CUDA := $(wildcard kernels/*.cu)
ENGINE  := $(call objects,$(filter-out engine/backend_cu% engine/backend_without_cuda.c,$(wildcard engine/base/*.c \
             engine/*.c engine/*.cc kernels/*.c)))
ifneq ($(HAVE_CUDA),)
ENGINE  += $(call objects,$(wildcard engine/backend_cu*.c) $(KERNELS_CUDA))
else
ENGINE  += $(call objects,engine/backend_without_cuda.c)
endif
HARNESS := $(call objects,$(wildcard harness/*.c benchmarks/*.c prompts/*.c results/*.c) \
             $(addsuffix .c,$(wildcard results/*.sql results/reference/*.json harness/report.html harness/report.css \
                                   harness/report.js)))
MAIN    := $(B)/harness/main.c.o
OPS     := $(call objects,tests/test_ops.c tests/test_model.c)
TESTS   := $(filter-out $(OPS),$(call objects,$(wildcard tests/*.c)))

# The CUDA backend on no GPU: its sources as C++ over a small emulation of the machine, tests/cuda_host. They stand
# before libllava.a on a link's line, and so in the place of what it has of the same name.
HOST      = $(patsubst %,$(B)/cuda-host/%.o,$(1))
CUDA_HOST := $(call HOST,$(wildcard engine/backend_cu*.c) $(KERNELS_CUDA) $(filter-out %/test_emulation.cc,$(wildcard tests/cuda_host/*.cc)))
HOST_TESTS := $(call HOST,$(wildcard tests/cuda_host/test_*.c tests/cuda_host/test_*.cc))
HOST_OPS  := $(call HOST,tests/test_ops.c tests/test_model.c)
LIBS_HOST := $(filter-out $(LIBS_CUDA),$(LIBS_ENGINE)) -rdynamic -ldl

.PHONY: all about deps demo test check test-gpu engine-tools install uninstall clean help fuzz torture bench man FORCE

all: about llava-eval  #: build ./llava-eval (the default)

about:
	@echo 'CUDA: $(CUDA_FOUND)'

ifndef SANITIZE
llava-eval: $(B)/llava-eval
	@cp $< $@
else
llava-eval: $(B)/llava-eval
endif

$(B)/llava-eval: $(HARNESS) $(B)/libllava.a
	$(LINK) $(HARNESS) $(B)/libllava.a $(LIBS_HARNESS) $(LIBS_ENGINE) $(LDLIBS)

$(B)/libllava.a: $(ENGINE)
	@rm -f $@
	$(AR) rcs $@ $(ENGINE)

$(B)/unit-tests: $(TESTS) $(filter-out $(MAIN),$(HARNESS)) $(B)/libllava.a
	$(LINK) $^ $(LIBS_HARNESS) $(LIBS_ENGINE) $(LDLIBS)

# The program with a GPU that computes nothing, and a maker of pictures: for tests/bench/synthetic.sh.
$(B)/simulated-gpu: $(call objects,tests/bench/simulated_gpu.c) $(HARNESS) $(B)/libllava.a
	$(LINK) $^ -Wl,--wrap=backend_cuda_open $(LIBS_HARNESS) $(LIBS_ENGINE) $(LDLIBS)

$(B)/write-pictures: $(call objects,tests/bench/write_pictures.c harness/bench_picture.c engine/base/err.c)
	$(LINK) $^ -ljpeg $(LDLIBS)

# Operation by operation, and whole models: one program for the CPU and the GPU, one for the emulated GPU.
$(B)/test-ops: $(OPS) $(B)/tests/main.c.o $(B)/libllava.a
	$(LINK) $^ $(LIBS_ENGINE) $(LDLIBS)

$(B)/bench-engine: $(call objects,tests/bench/bench_engine.c harness/ahead.c harness/bench.c harness/bench_error.c \
                     harness/bench_picture.c) $(B)/libllava.a
	$(LINK) $^ $(LIBS_ENGINE) $(LDLIBS)

$(B)/cuda-host/test-ops: $(HOST_OPS) $(B)/tests/main.c.o $(CUDA_HOST) $(B)/libllava.a
	$(LINK) $^ $(LIBS_HOST) $(LDLIBS)

$(B)/cuda-host/kernel-tests: $(HOST_TESTS) $(B)/harness/devices.c.o $(B)/tests/main.c.o $(CUDA_HOST) $(B)/libllava.a
	$(LINK) $^ $(LIBS_HOST) $(LDLIBS)

$(B)/cuda-host/llava-eval: $(HARNESS) $(CUDA_HOST) $(B)/libllava.a
	$(LINK) $^ $(LIBS_HARNESS) $(LIBS_HOST) $(LDLIBS)

$(B)/store-dump: $(call objects,tests/tools/store_dump.c)
	$(LINK) $^ -lsqlite3 $(LDLIBS)

# A machine that fails on demand, and a tool that damages files: for tests/faults/torture.sh.
$(B)/faults.so: tests/faults/faults.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 -g -fPIC -shared $< -o $@ -ldl

$(B)/damage: tests/faults/damage.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 $< -o $@

$(B)/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) -c $< -o $@

$(B)/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXX_FLAGS) -c $< -o $@

$(B)/engine/backend_cu%.c.o: CPPFLAGS += $(CUDA_FLAGS)

$(B)/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -c $< -o $@

$(B)/cuda-host/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) -Itests/cuda_host $(C_FLAGS) -DCUDA_HOST -c $< -o $@

$(B)/cuda-host/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) -Itests/cuda_host $(CXX_FLAGS) -O2 -c $< -o $@

$(B)/cuda-host/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(CXX) -Itests/cuda_host -x c++ $(CXX_FLAGS) -O2 -c $< -o $@

# A text as a C array of its name (results/schema.sql: schema_sql): string literals have a maximum.
as_array = @mkdir -p $(@D); name=$(subst .,_,$(<F)); \
           { echo "extern const char $$name[]; const char $$name[] = {"; \
             od -An -v -td1 $< | sed 's/[0-9][0-9]*/&,/g'; echo '0 };'; } > $@

$(B)/%.sql.c: %.sql
	$(as_array)
$(B)/%.json.c: %.json
	$(as_array)
$(B)/%.html.c: %.html
	$(as_array)
$(B)/%.css.c: %.css
	$(as_array)
$(B)/%.js.c: %.js
	$(as_array)
$(B)/%.sql.c.o: $(B)/%.sql.c
	$(CC) $(C_FLAGS) -c $< -o $@
$(B)/%.json.c.o: $(B)/%.json.c
	$(CC) $(C_FLAGS) -c $< -o $@
$(B)/%.html.c.o: $(B)/%.html.c
	$(CC) $(C_FLAGS) -c $< -o $@
$(B)/%.css.c.o: $(B)/%.css.c
	$(CC) $(C_FLAGS) -c $< -o $@
$(B)/%.js.c.o: $(B)/%.js.c
	$(CC) $(C_FLAGS) -c $< -o $@

# The program's version: the nearest tag or commit, where git knows one.
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
$(B)/version: FORCE
	@mkdir -p $(@D); echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(B)/harness/version.c.o: C_FLAGS += -DVERSION='"$(VERSION)"'
$(B)/harness/version.c.o: $(B)/version

# Whether FFmpeg was found, so that its users are made again when it comes or goes.
$(B)/ffmpeg: FORCE
	@mkdir -p $(@D); echo '$(FFMPEG)' | cmp -s - $@ || echo '$(FFMPEG)' > $@
FFMPEG_USERS := $(call objects,harness/frames.c tests/test_videos.c)
$(FFMPEG_USERS): C_FLAGS += $(if $(filter 1,$(FFMPEG)),-DHAVE_FFMPEG)
$(FFMPEG_USERS): $(B)/ffmpeg

# One job for each processor where make was told nothing.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))

deps:  #: install the libraries that are missing (as root, or through sudo)
	@sh harness/deps.sh $(PACKAGES)

demo: deps  #: run the whole suite on the two tiny checkpoints of demo/ and print the leaderboard
	@$(MAKE) --no-print-directory $(JOBS) all
	@mkdir -p build
	./llava-eval --suite all --data build/demo-data --db build/demo.db

test: deps  #: all tests that need neither GPU nor network; SANITIZE=1 runs them under sanitizers
	@$(MAKE) --no-print-directory $(JOBS) check

check: about $(B)/llava-eval $(B)/unit-tests $(B)/test-ops $(B)/cuda-host/test-ops $(B)/cuda-host/kernel-tests \
       $(B)/cuda-host/llava-eval $(B)/simulated-gpu $(B)/store-dump $(B)/faults.so $(B)/damage
	@B=$(B) CC="$(CC)" sh tests/run.sh $(T)

test-gpu: $(B)/test-ops $(B)/llava-eval $(B)/store-dump  #: the same on a real GPU, and under compute-sanitizer where it works
	@B=$(B) sh tests/gpu.sh

# What a GPU machine without the harness's libraries needs: build/tools/{test-ops,bench-engine}.
engine-tools:  #: test-ops and the engine's bench, with nothing but the compilers, CUDA, libjpeg and sentencepiece
	@$(MAKE) --no-print-directory $(JOBS) B=build/tools JPEG_ONLY=1 build/tools/test-ops build/tools/bench-engine

torture: all $(B)/store-dump $(B)/faults.so $(B)/damage  #: kill, starve and damage it: seven minutes
	@rm -rf build/torture; mkdir -p build/torture
	@cd build/torture && ROOT=$(CURDIR) PROGRAM=$(CURDIR)/$(B)/llava-eval B=$(CURDIR)/$(B) HOME=$(CURDIR)/build/torture \
	    XDG_CACHE_HOME=$(CURDIR)/build/torture/cache sh $(CURDIR)/tests/faults/torture.sh full

fuzz:  #: build the fuzz targets (clang) into build/fuzz
	@sh tests/fuzz/build.sh

bench: all  #: time the parts against the machine's limits; figures go to docs/performance.md by hand
	@sh tests/bench/run.sh

man: all  #: write docs/llava-eval.1 again
	./llava-eval help --man > docs/llava-eval.1

install: all  #: into $(prefix): program, demo, manual page, completion
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(datadir)/llava-eval $(DESTDIR)$(mandir)/man1 \
	    $(DESTDIR)$(datadir)/bash-completion/completions
	install -m 755 llava-eval $(DESTDIR)$(bindir)/llava-eval
	rm -rf $(DESTDIR)$(datadir)/llava-eval/demo
	install -d $(DESTDIR)$(datadir)/llava-eval/demo
	cp -R demo/checkpoints demo/mirror demo/README.md $(DESTDIR)$(datadir)/llava-eval/demo/
	./llava-eval help --man > $(DESTDIR)$(mandir)/man1/llava-eval.1
	./llava-eval help --completion > $(DESTDIR)$(datadir)/bash-completion/completions/llava-eval

uninstall:  #: take away what install put there
	rm -f $(DESTDIR)$(bindir)/llava-eval $(DESTDIR)$(mandir)/man1/llava-eval.1 \
	    $(DESTDIR)$(datadir)/bash-completion/completions/llava-eval
	rm -rf $(DESTDIR)$(datadir)/llava-eval

clean:  #: remove everything that was built, the demo's store included
	rm -rf build llava-eval

help:  #: this list
	@sed -n 's/^\([a-z-]*\):.*#: /  make \1\t/p' Makefile | expand -t 20

FORCE:

-include $(ENGINE:.o=.d) $(HARNESS:.o=.d) $(TESTS:.o=.d) $(OPS:.o=.d) $(CUDA_HOST:.o=.d) $(HOST_OPS:.o=.d) \
         $(HOST_TESTS:.o=.d) $(patsubst %,$(B)/%.d,$(wildcard tests/bench/*.c))
