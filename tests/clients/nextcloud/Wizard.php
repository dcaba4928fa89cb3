<?php

declare(strict_types=1);

/** What the settings page finds out by itself. It reads one answer to the end and never pages, except where it counts. */
final class Wizard
{
    private const USER_CLASSES = ['inetOrgPerson', 'person', 'organizationalPerson', 'user', 'posixAccount'];
    private const GROUP_CLASSES = ['groupOfNames', 'groupOfUniqueNames', 'group', 'posixGroup'];
    private const MEMBER_ATTRIBUTES = ['uniqueMember', 'memberUid', 'member', 'gidNumber', 'zimbraMailForwardingAddress'];
    private const LOGIN_ATTRIBUTES = ['uid', 'samaccountname', 'cn'];
    private const LARGE = 20000;
    private const GROUPS_AT_ONCE = 400;
    private const TIMEOUT = 4;

    public function __construct(private readonly Access $access)
    {
    }

    /**
     * The first port that answers. Any answer will do, a refusal too.
     *
     * @param list<array{int, bool}> $candidates ports, and whether to begin with StartTLS
     * @return array{port: int, tls: bool}|null
     */
    public function port(array $candidates): ?array
    {
        $settings = $this->access->settings;
        foreach ($candidates as [$port, $tls]) {
            $link = ldap_connect("ldap://{$settings->ldapHost}:$port");
            ldap_set_option($link, LDAP_OPT_PROTOCOL_VERSION, 3);
            ldap_set_option($link, LDAP_OPT_REFERRALS, 0);
            ldap_set_option($link, LDAP_OPT_NETWORK_TIMEOUT, self::TIMEOUT);
            if ($tls && !@ldap_start_tls($link)) {
                continue;
            }
            $bound = @ldap_bind($link, $settings->ldapAgentName, $settings->ldapAgentPassword);
            $code = ldap_errno($link);
            @ldap_unbind($link);
            if ($bound || $code > 0) {
                return ['port' => $port, 'tls' => $tls];
            }
        }
        return null;
    }

    /** The base DN: the end of the agent's, else the parts of the host name. */
    public function base(string $host): ?string
    {
        $agent = $this->access->settings->ldapAgentName;
        $start = stripos($agent, 'dc=');
        $candidates = $start === false ? [] : [substr($agent, $start)];
        $labels = explode('.', $host);
        while (count($labels) > 1) {
            $candidates[] = 'dc=' . implode(',dc=', $labels);
            array_shift($labels);
        }
        foreach ($candidates as $candidate) {
            if (($this->ask($candidate, '(objectClass=*)', ['dn'], 1)['count'] ?? 0) > 0) {
                return $candidate;
            }
        }
        return null;
    }

    /** The number of entries below the base, as far as it is shown. */
    public function entries(): int
    {
        return $this->access->count('(objectclass=*)', $this->access->settings->ldapBase, ['dn'], 1001);
    }

    /**
     * Object classes with the number of entries; the one with most is chosen.
     *
     * @return array{found: array<string, int>, chosen: ?string}
     */
    public function classes(bool $groups): array
    {
        $found = [];
        foreach ([...($groups ? self::GROUP_CLASSES : self::USER_CLASSES), '*'] as $class) {
            if ($class === '*' && $found !== []) {
                break;
            }
            $answer = $this->ask($this->access->settings->ldapBase, "(objectclass=$class)", ['objectclass'], self::LARGE);
            if (($answer['count'] ?? 0) > 0) {
                $found[$class] = $answer['count'];
            }
        }
        return ['found' => $found, 'chosen' => $found === [] ? null : array_search(max($found), $found, true)];
    }

    /** @return list<string> the groups offered for choosing */
    public function groups(): array
    {
        $classes = ['posixGroup', 'group', 'zimbraDistributionList', 'groupOfNames', 'groupOfUniqueNames'];
        $any = implode('', array_map(static fn (string $class) => "(objectclass=$class)", $classes));
        $names = [];
        $offset = 0;
        do {
            $page = $this->access->search(
                "(&(|$any)(cn=*))", $this->access->settings->ldapBase, ['cn', 'dn'], self::GROUPS_AT_ONCE, $offset
            );
            foreach ($page as $record) {
                $names[] = $record['cn'][0];
            }
            $offset += self::GROUPS_AT_ONCE;
        } while ($this->access->hasMore());
        return $names;
    }

    /** Whether people can be found by their groups; a page of one is asked for. */
    public function memberOf(): bool
    {
        $settings = $this->access->settings;
        return $this->access->count('(memberOf=*)', $settings->ldapBaseUsers, ['memberOf'], 1) > 0;
    }

    /** The filter for people of one class in one group. */
    public function userFilter(string $class, string $group): string
    {
        $answer = $this->ask($this->access->settings->ldapBase, "cn=$group", ['dn', 'primaryGroupToken'], 0);
        $entry = $answer[0] ?? throw new RuntimeException("there is no group $group");
        $token = $entry['primarygrouptoken'][0] ?? null;
        $parts = '(memberof=' . ldap_escape($entry['dn'], '', LDAP_ESCAPE_FILTER) . ')';
        $parts .= $token === null ? '' : "(primaryGroupID=$token)";
        return "(&(|(objectclass=$class))(|$parts))";
    }

    /**
     * The attributes the first person has, names alone, and the one proposed for logins.
     *
     * @return array{names: list<string>, login: ?string}
     */
    public function attributes(): array
    {
        $settings = $this->access->settings;
        $answer = $this->ask($settings->ldapBaseUsers, $settings->userFilter(), [], 1, true);
        $names = [];
        for ($at = 0; $at < ($answer[0]['count'] ?? 0); $at++) {
            $names[] = $answer[0][$at];
        }
        $lower = array_map('strtolower', $names);
        $login = array_values(array_intersect(self::LOGIN_ATTRIBUTES, $lower))[0] ?? null;
        return ['names' => $names, 'login' => $login];
    }

    /** The attribute of which more people have a value. */
    public function email(Users $users): ?string
    {
        $counts = ['mail' => $users->count('mail'), 'mailPrimaryAddress' => $users->count('mailPrimaryAddress')];
        return max($counts) > 0 ? array_search(max($counts), $counts, true) : null;
    }

    public function displayName(Users $users): ?string
    {
        foreach (['displayname', 'cn'] as $attribute) {
            if ($users->count($attribute) > 0) {
                return $attribute;
            }
        }
        return null;
    }

    /**
     * The attribute that ties members to groups: of the first group that has any of them, the one with the fewest values. That is a guess
     * an administrator must look at: a number every group has one of wins over its members.
     */
    public function memberAttribute(): ?string
    {
        $settings = $this->access->settings;
        $answer = $this->ask($settings->ldapBaseGroups, $settings->groupFilter(), self::MEMBER_ATTRIBUTES, 1000);
        for ($entry = 0; $entry < ($answer['count'] ?? 0); $entry++) {
            $counts = [];
            foreach (self::MEMBER_ATTRIBUTES as $name) {
                $count = $answer[$entry][strtolower($name)]['count'] ?? 0;
                if ($count > 0) {
                    $counts[$name] = $count;
                }
            }
            if ($counts !== []) {
                return array_search(min($counts), $counts, true);
            }
        }
        return null;
    }

    /** The number of people a login name would find. */
    public function testLogin(string $typed): int
    {
        $settings = $this->access->settings;
        $filter = str_replace('%uid', ldap_escape($typed, '', LDAP_ESCAPE_FILTER), $settings->ldapLoginFilter);
        return $this->access->count($filter, $settings->ldapBaseUsers);
    }

    /** What the administrator's overview checks: that anything is found. */
    public function setUpCheck(): bool
    {
        return $this->access->count('(objectclass=*)', $this->access->settings->ldapBase, ['dn'], 1) >= 1;
    }

    /** @param list<string> $attributes */
    private function ask(string $base, string $filter, array $attributes, int $limit, bool $types = false): array
    {
        $answer = $this->access->server->call('ldap_search', $base, $filter, $attributes, (int) $types, $limit);
        return $answer === false ? [] : $this->access->server->call('ldap_get_entries', $answer);
    }
}
