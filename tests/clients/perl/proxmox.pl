#!/usr/bin/perl
# What Proxmox VE asks of an LDAP realm, with Net::LDAP: the base from the root DSE, a sync of users and groups in pages, a
# list of pages broken off, logins. Prints one JSON object, or ends with a message. Arguments: the URI; clear, ldaps or start_tls; the
# file of the authority to trust.
use strict;
use warnings;

use Encode qw(decode_utf8);
use JSON::PP;
use Net::LDAP;
use Net::LDAP::Constant qw(LDAP_CONTROL_PAGED);
use Net::LDAP::Control::Paged;
use Net::LDAP::Filter;

my ($uri, $transport, $authority) = @ARGV;
my $base = "DC=ldap,DC=goauthentik,DC=io";

sub connected {
    my @trust = (verify => "require", cafile => $authority);
    my $ldap = Net::LDAP->new($uri, timeout => 10, onerror => undef, @trust) || die "no connection: $@\n";
    checked($ldap->start_tls(@trust), "StartTLS") if $transport eq "start_tls";
    return $ldap;
}

sub checked {
    my ($result, $what) = @_;
    die "$what: " . $result->code . " " . $result->error . "\n" if $result->code;
    return $result;
}

# All entries in pages, or those of the first pages, after which the list is given up with a page of size 0.
sub pages {
    my ($ldap, $size, $stop_after, %search) = @_;
    my $page = Net::LDAP::Control::Paged->new(size => $size);
    my (@entries, $cookie, $pages);
    while (1) {
        my $result = checked($ldap->search(%search, control => [$page]), "page");
        push @entries, $result->entries;
        $pages++;
        my ($answer) = $result->control(LDAP_CONTROL_PAGED) or die "no paging control in an answer\n";
        $cookie = $answer->cookie;
        last if !defined($cookie) || !length($cookie) || $pages == $stop_after;
        $page->cookie($cookie);
    }
    my $given_up;
    if (defined($cookie) && length($cookie)) {
        $page->cookie($cookie);
        $page->size(0);
        $given_up = $ldap->search(%search, control => [$page])->code;
    }
    return (\@entries, $pages, $given_up);
}

sub login {
    my ($name, $password) = @_;
    my $ldap = connected();
    checked($ldap->bind("cn=ldapservice,ou=users,$base", password => "demo-ldapservice"), "bind");
    my $filter = "(cn=" . Net::LDAP::Util::escape_filter_value($name) . ")";
    my $found = checked($ldap->search(base => "ou=users,$base", filter => $filter, scope => "sub", attrs => ["dn"]), "login");
    my $entry = $found->entry(0) or return "unknown";
    my $user = connected();
    my $result = $user->bind($entry->dn, password => $password);
    $user->unbind;
    return $result->code;
}

require Net::LDAP::Util;
my $ldap = connected();
my $root = $ldap->root_dse(attrs => ["defaultNamingContext", "namingContexts", "supportedControl"]) or die "no root DSE\n";
checked($ldap->bind("cn=ldapservice,ou=users,$base", password => "demo-ldapservice"), "bind");

my $classes = join "", map { "(objectclass=$_)" } qw(inetorgperson posixaccount person user);
my ($users, $user_pages) = pages(
    $ldap, 90, 0,
    base => "ou=users,$base", scope => "sub",
    filter => Net::LDAP::Filter->new("(&(|(cn=*)(mail=*))(|$classes))"),
    attrs => ["cn", "mail", "givenName", "sn", "memberOf", "uid"],
);
$classes = join "", map { "(objectclass=$_)" } qw(groupOfNames group univentionGroup ipausergroup);
my ($groups, $group_pages) = pages(
    $ldap, 10, 0,
    base => "ou=groups,$base", scope => "sub",
    filter => Net::LDAP::Filter->new("(|$classes)"),
    attrs => ["cn", "member", "uniqueMember"],
);
my (undef, undef, $given_up) = pages(
    $ldap, 10, 2, base => "ou=users,$base", scope => "sub", filter => "(objectClass=user)", attrs => ["cn"],
);
my %name_of = map { lc($_->dn) => decode_utf8($_->get_value("cn")) } @$users;
my %members;
for my $group (@$groups) {
    my %all = map { lc($_) => 1 } $group->get_value("member"), $group->get_value("uniqueMember");
    $members{decode_utf8($group->get_value("cn"))} = [sort grep { defined } map { $name_of{$_} } keys %all];
}
my $schema = $ldap->schema or die "no schema\n";
my $missing = $ldap->search(base => "ou=nowhere,$base", filter => "(objectClass=*)");
my $nonsense = eval { $ldap->search(base => $base, filter => "(cn=") };
print JSON::PP->new->canonical->ascii->encode({
    base => $root->get_value("defaultNamingContext"),
    contexts => [$root->get_value("namingContexts")],
    paging => JSON::PP::true && scalar(grep { $_ eq LDAP_CONTROL_PAGED } $root->get_value("supportedControl")),
    users => scalar(@$users),
    user_pages => $user_pages,
    distinct => scalar(keys %name_of),
    mail => (map { $_->get_value("mail") } grep { $_->get_value("cn") eq "alice" } @$users)[0],
    groups => scalar(@$groups),
    group_pages => $group_pages,
    backend => $members{backend},
    emea => $members{"Sales, EMEA"},
    given_up => $given_up,
    classes => scalar(grep { $_->{name} eq "inetOrgPerson" } $schema->all_objectclasses),
    attributes => defined($schema->attribute("memberOf")) ? 1 : 0,
    missing => $missing->code,
    matched => $missing->dn,
    logins => {
        right => login("alice", "demo-alice"),
        quote => login("pat o'brien", "demo-pat o'brien"),
        wrong => login("alice", "wrong"),
        refused => login("mallory", "demo-mallory"),
        inactive => login("inactive", "demo-inactive"),
        star => login("*", "demo-alice"),
        nobody => login("nobody", "x"),
    },
}), "\n";
$ldap->unbind;
