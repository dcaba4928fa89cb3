#!/usr/bin/ruby
# What GitLab asks of an LDAP server, with net-ldap: login by any of three attributes, the check whether a person may still
# log in (with the bit test of Active Directory, which is on by default), and the members of groups. Prints one JSON object.
# Arguments: the URI; clear, ldaps or start_tls; the file of the authority to trust.
require "json"
require "net/ldap"

uri, transport, authority = ARGV
BASE = "DC=ldap,DC=goauthentik,DC=io"
HOST, PORT = uri.match(%r{ldaps?://(.*):(\d+)}).captures
METHOD = { "clear" => nil, "ldaps" => :simple_tls, "start_tls" => :start_tls }.fetch(transport)
ENCRYPTION = METHOD && { method: METHOD, tls_options: { ca_file: authority, verify_mode: OpenSSL::SSL::VERIFY_PEER } }

def connection(name, password)
  Net::LDAP.new(
    host: HOST, port: PORT.to_i, base: "ou=users,#{BASE}",
    auth: { method: :simple, username: name, password: password }, encryption: ENCRYPTION
  )
end

def text(value)
  value.to_s.dup.force_encoding("UTF-8")
end

service = connection("cn=ldapservice,ou=users,#{BASE}", "demo-ldapservice")
raise "no bind: #{service.get_operation_result}" unless service.bind

root = service.search_root_dse
users = Net::LDAP::Filter.construct("(&(objectClass=user)(memberOf=cn=everyone,ou=groups,#{BASE}))")

# The first entry of somebody who logs in, by name or address.
find = lambda do |login|
  any = %w[cn mail sAMAccountName].map { |attribute| Net::LDAP::Filter.equals(attribute, login) }.reduce(:|)
  service.search(filter: users & any, size: 1, attributes: %w[dn cn mail displayName givenName sn])&.first
end

login = lambda do |name, password|
  entry = find.call(name)
  next "unknown" unless entry

  connection(entry.dn, password).tap(&:bind).get_operation_result.code
end

found = find.call("alice@example.com")
dn = text(found.dn)

# Whether the account is still there and allowed, and not disabled in the way of Active Directory.
exists = lambda do |name|
  entries = service.search(base: name, filter: users, scope: Net::LDAP::SearchScope_BaseObject, attributes: %w[dn], return_result: true)
  !entries.nil? && entries.size == 1
end
disabled = lambda do |name|
  bit = Net::LDAP::Filter.ex("userAccountControl:1.2.840.113556.1.4.803", "2")
  entries = service.search(base: name, filter: bit, scope: Net::LDAP::SearchScope_BaseObject, attributes: %w[dn])
  { entries: entries&.size, code: service.get_operation_result.code }
end

groups = service.search(base: "ou=groups,#{BASE}", filter: Net::LDAP::Filter.eq("objectClass", "groupOfNames"), attributes: %w[cn member])
members = lambda do |name|
  group = groups.find { |entry| text(entry.cn.first) == name }
  group[:member].map { |member| text(member) }.sort
end
nested = Net::LDAP::Filter.ex("memberOf:1.2.840.113556.1.4.1941", "cn=company,ou=groups,#{BASE}")
everybody = service.search(filter: Net::LDAP::Filter.eq("objectClass", "user"), attributes: %w[cn])
limited = service.search(filter: Net::LDAP::Filter.eq("objectClass", "user"), size: 7, attributes: %w[cn])

puts JSON.generate(
  contexts: root[:namingcontexts].map { |value| text(value) },
  paging: service.paged_searches_supported?,
  found: { dn: dn, cn: text(found.cn.first), mail: text(found.mail.first), name: text(found[:displayname].first) },
  exists: exists.call(dn),
  gone: exists.call("cn=nobody,ou=users,#{BASE}"),
  outside: exists.call("cn=akadmin,ou=users,#{BASE}"),
  disabled: disabled.call(dn),
  groups: groups.size,
  backend: members.call("backend"),
  company: service.search(filter: Net::LDAP::Filter.eq("objectClass", "user") & nested, attributes: %w[cn]).map { |entry| text(entry.cn.first) }.sort,
  everybody: everybody.size,
  limited: limited&.size,
  awkward: text(find.call("sales, \"emea\" + partners")&.dn),
  logins: {
    right: login.call("alice", "demo-alice"),
    mail: login.call("zoe@example.com", "demo-zoë"),
    wrong: login.call("alice", "wrong"),
    refused: login.call("mallory", "demo-mallory"),
    inactive: login.call("inactive", "demo-inactive"),
    star: login.call("*", "demo-alice"),
    outside: login.call("akadmin", "demo-akadmin")
  }
)
