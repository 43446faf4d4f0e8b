# Where `cross` builds for arm64 (cross.toml): Debian 12 with its own compilers. The images that cross brings have Ubuntu
# 20.04's C library at the newest, 2.31; TensorFlow Lite's library needs 2.34.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update \
 && apt-get install --assume-yes --no-install-recommends ca-certificates gcc libc6-dev libclang-dev \
      gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross \
 && rm -rf /var/lib/apt/lists/*
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu=-I/usr/aarch64-linux-gnu/include
