# syntax=docker/dockerfile:1
#
# `docker build --tag akldap .` makes the image: the program, the libraries it is linked with and certificate authorities, on
# nothing else. `docker build --target program --output out .` puts the program and its debug symbols into out/ instead.
#
# No engine runs in .ci/run: .ci/image carries these instructions out, except that it is given a built program.

# Debian 12 and not the newest, so that the program also starts on older systems than the image: a release packages the same one.
FROM docker.io/library/rust:1.95-slim-bookworm AS toolchain
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils ca-certificates g++ gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# What decides which dependencies are built, and sources of nothing: the next stage is made again only when these change.
FROM toolchain AS manifests
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -name lib.rs ! -name main.rs ! -path ./benches/directory.rs -delete \
    && find . -name lib.rs -exec cp /dev/null {} \; \
    && find . -name '*.rs' ! -name lib.rs -exec sh -c 'echo "fn main() {}" >"$1"' sh {} \; \
    && find . -type d -empty -delete

FROM toolchain AS dependencies
COPY --from=manifests /build .
RUN cargo build --profile dist --locked --bin akldap

FROM dependencies AS build
COPY . .
# Sources may be older than the build of the empty ones, which cargo would then take for done.
RUN find src crates -name '*.rs' -exec touch {} +
# There is no git here that could say it.
ARG GIT_BUILD_HASH=""
ENV AKLDAP_COMMIT=${GIT_BUILD_HASH}
RUN cargo build --profile dist --locked --bin akldap
RUN mkdir -p /out \
    && objcopy --only-keep-debug target/dist/akldap /out/akldap.debug \
    && objcopy --strip-all --add-gnu-debuglink=/out/akldap.debug target/dist/akldap /out/akldap
# authentik's controllers run `/ldap healthcheck`, whatever the image.
RUN mkdir -p /image/etc \
    && cp /out/akldap /image/akldap \
    && ln -s /akldap /image/ldap \
    && ldd /out/akldap | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=/image \
    && cp --parents /etc/ssl/certs/ca-certificates.crt /image \
    && cp --parents /usr/share/doc/libc6/copyright /usr/share/doc/libgcc-s1/copyright /usr/share/doc/ca-certificates/copyright /image \
    && cp LICENSE /image/LICENSE \
    && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
    && echo 'akldap:x:1000:1000::/:/nonexistent' >/image/etc/passwd \
    && echo 'akldap:x:1000:' >/image/etc/group

FROM scratch AS program
COPY --from=build /out /

FROM scratch
ARG GIT_BUILD_HASH=""
ARG VERSION="0.1.0"
LABEL org.opencontainers.image.title="akldap" \
      org.opencontainers.image.description="An LDAP and LDAPS server for authentik, a drop-in replacement for its LDAP outpost" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_BUILD_HASH}"
COPY --from=build /image /
# The allocator gives back at once what a refresh needed, instead of when it is next asked for memory.
ENV TMPDIR=/dev/shm \
    MIMALLOC_PURGE_DELAY=0 \
    GIT_BUILD_HASH=${GIT_BUILD_HASH}
# Numbers, because Kubernetes' runAsNonRoot cannot check a name.
USER 1000:1000
EXPOSE 3389 6636 9300
# Alive or not, and no more: controllers restart what is unhealthy, and an outage of authentik is no reason to restart.
HEALTHCHECK --interval=5s --retries=20 --start-period=3s CMD ["/ldap", "healthcheck"]
ENTRYPOINT ["/ldap"]
