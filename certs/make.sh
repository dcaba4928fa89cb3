#!/usr/bin/env bash
# Makes the test certificates in this directory again. They are public and worthless: never serve them to anybody.
set -euo pipefail
cd "$(dirname "$0")"

from=20250101000000Z
until=21241231235959Z
local=DNS:localhost,IP:127.0.0.1,IP:::1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index.txt"
cat >"$work/ca.cnf" <<CONFIG
[ca]
default_ca = test_ca
[test_ca]
database = $work/index.txt
new_certs_dir = $work
serial = $work/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
organizationName = optional
commonName = supplied
CONFIG

# new_key NAME KIND
new_key() {
    case $2 in
    p256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" ;;
    rsa2048) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key" 2>/dev/null ;;
    # Openssl makes it, and no library of TLS takes it.
    rsa1024) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out "$1.key" 2>/dev/null ;;
    esac
    chmod 644 "$1.key"
}

# sign NAME COMMON_NAME NOT_BEFORE NOT_AFTER [OPTION...], the extensions on standard input
sign() {
    local name=$1 common_name=$2 not_before=$3 not_after=$4
    shift 4
    cat >"$work/extensions.cnf"
    openssl req -new -key "$name.key" -subj "/O=akldap tests/CN=$common_name" -out "$work/request.pem"
    openssl ca -batch -notext -config "$work/ca.cnf" -rand_serial -in "$work/request.pem" -out "$name.pem" \
        -startdate "$not_before" -enddate "$not_after" -extfile "$work/extensions.cnf" "$@" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}

# server NAME KIND COMMON_NAME SUBJECT_ALT_NAMES NOT_BEFORE NOT_AFTER
server() {
    new_key "$1" "$2"
    sign "$1" "$3" "$5" "$6" -cert ca.pem -keyfile ca.key <<EXTENSIONS
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $4
EXTENSIONS
}

new_key ca p256
sign ca "akldap throw-away test CA" "$from" "$until" -selfsign -keyfile ca.key <<EXTENSIONS
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
EXTENSIONS
server p256 p256 localhost "$local" "$from" "$until"
server rsa2048 rsa2048 localhost "$local" "$from" "$until"
server rsa1024 rsa1024 localhost "$local" "$from" "$until"
server expired p256 localhost "$local" 20240101000000Z 20240201000000Z
server sni p256 ldap.example.org DNS:ldap.example.org "$from" "$until"

# Without extensions, which the first version of X.509 does not have.
new_key version1 p256
sign version1 localhost "$from" "$until" -selfsign -keyfile version1.key </dev/null

for name in p256 rsa2048 sni; do
    openssl verify -CAfile ca.pem "$name.pem"
done
