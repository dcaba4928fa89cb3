# syntax=docker/dockerfile:1

FROM docker.io/library/rust:1.95-slim-trixie AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc g++ make libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --profile dist --locked --bin akldap \
    && mkdir /out \
    && cp target/dist/akldap /out/akldap

FROM docker.io/library/debian:trixie-slim
ARG GIT_BUILD_HASH=""
ARG VERSION="0.1.0"
LABEL org.opencontainers.image.title="akldap" \
      org.opencontainers.image.description="An LDAP and LDAPS server for authentik, a drop-in replacement for its LDAP outpost" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_BUILD_HASH}"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/akldap /akldap
# authentik's controllers run `/ldap healthcheck`, whatever the image.
RUN ln -s /akldap /ldap
# The allocator gives back at once what a refresh needed, instead of when it is next asked for memory.
ENV TMPDIR=/dev/shm \
    MIMALLOC_PURGE_DELAY=0 \
    GIT_BUILD_HASH=${GIT_BUILD_HASH}
# A number, because Kubernetes' runAsNonRoot cannot check a name.
USER 1000
EXPOSE 3389 6636 9300
HEALTHCHECK --interval=5s --retries=20 --start-period=3s CMD ["/ldap", "healthcheck"]
ENTRYPOINT ["/ldap"]
