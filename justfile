# One recipe for each step of `.ci/run`, so that a step can be repeated alone.

default: fmt clippy doc test

# All of CI
ci:
    .ci/run

# What takes too long for every change
nightly:
    .ci/nightly

# `fuzz/` is a workspace of its own
fmt:
    cargo fmt --all --check
    cargo fmt --check --manifest-path fuzz/Cargo.toml

clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --manifest-path fuzz/Cargo.toml --locked -- -D warnings

# Spelling; needs typos (`pip install --requirement .ci/requirements.txt`)
typos:
    typos

# Links between the pages of the documentation
links:
    .ci/links

# The documentation as a book in target/book; needs mdbook (`.ci/run` keeps one in target/tools)
book:
    .ci/book

doc:
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked

test *arguments:
    cargo test --locked {{ arguments }}

# The tests with real LDAP clients, which fail when a client is missing
test-clients:
    AKLDAP_REQUIRE_CLIENTS=1 cargo test --locked --no-fail-fast

# As quickly built as `cargo run --release`; `--profile dist` is what the image holds
release:
    cargo build --release --locked --package akldap

# The image, the packages, and the schemas of what lies in deploy/; as root on Debian
deploy: release
    .ci/deploy

smoke: release
    .ci/demo-smoke

# Load beside slapd and an echo, memory, refreshes; see BENCHMARKS.md
bench *arguments:
    cargo bench --locked --bench load -- {{ arguments }}

# Hostile clients beside honest ones, idle connections, TLS handshakes; an hour unless told otherwise
hostile *arguments:
    cargo bench --locked --bench hostile -- {{ arguments }}

# Nextcloud's requests to a large directory on the release binary, beside slapd where that is installed
nextcloud users="10000": release
    cargo bench --locked --profile dev --bench load -- --parts nextcloud --users {{ users }} --server target/release/akldap

# Histories of the whole server under a held clock, from a seed on; CONTRIBUTING.md says how to read one that fails
simulate count="100000" from="0":
    AKLDAP_SIMULATE={{ from }}..$(({{ from }} + {{ count }})) cargo test --release --locked --test simulation campaign -- --ignored --nocapture

# Instructions of the hot paths against the noted ones; --write records them again
counts *arguments:
    .ci/counts {{ arguments }}

# Every fuzz target for some seconds each
fuzz seconds="30":
    .ci/fuzz-smoke {{ seconds }}

# Write docs/options.md from the table of options
docs:
    AKLDAP_WRITE_DOCS=1 cargo test --lib options_page

# Licences, sources and banned crates; needs cargo-deny (`cargo install cargo-deny --locked`)
dependencies:
    cargo deny --log-level error --locked check bans licenses sources

# Manual pages and completions for the shells
pages folder="target/pages":
    cargo run --locked --example pages -- {{ folder }}

demo *arguments:
    cargo run --release --locked -- demo {{ arguments }}

image tag="akldap":
    docker build --build-arg GIT_BUILD_HASH="$(git rev-parse HEAD)" --tag {{ tag }} .
