# The coordinator and the services in one image: docker build -t ringmaster .
# Built by the same scripts as on a machine of one's own. The cache mounts keep RocksDB (about 5 minutes on 2 cores),
# downloads and compiled dependencies between builds of the image.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY scripts/setup.sh scripts/
COPY Cargo.toml ./
RUN scripts/setup.sh build && rm -rf /var/lib/apt/lists/*
COPY . .
ENV RINGMASTER_CACHE=/cache CARGO_TARGET_DIR=/cache/target
RUN --mount=type=cache,target=/cache \
    --mount=type=cache,target=/usr/local/cargo/registry \
    scripts/rocksdb.sh \
    && cargo build --release --locked -p ringmaster -p ringmaster-participants --bins \
    && mkdir /out \
    && cd /cache/target/release \
    && cp ringmaster fraud inventory payment shipping /out/

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /data ringmaster
COPY --from=build /out/ /usr/local/bin/
COPY sagas/ /etc/ringmaster/sagas/
USER ringmaster
WORKDIR /data
VOLUME /data
ENTRYPOINT ["ringmaster"]
