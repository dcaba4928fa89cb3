<?php

declare(strict_types=1);

/** Groups: lists, who is in them, and in which ones somebody is. */
final class Groups
{
    private const IN_CHAIN = '1.2.840.113556.1.4.1941';

    public readonly Mapping $mapping;
    /** `unknown`, `available` or `unavailable`; kept for good. */
    public string $inChain = 'unknown';
    private ?string $uuidAttribute = null;
    private bool $primaryGroups = true;

    public function __construct(private readonly Access $access, private readonly Users $users)
    {
        $this->mapping = new Mapping();
    }

    /** @return list<string> internal names */
    public function list(string $term = '', ?int $limit = null, int $offset = 0): array
    {
        $settings = $this->access->settings;
        $shown = $settings->ldapGroupDisplayName;
        $value = ldap_escape($term, '', LDAP_ESCAPE_FILTER);
        $part = $value === '' ? "($shown=*)" : "(|($shown=$value)($shown=$value*))";
        $records = $this->access->search(
            "(&{$settings->groupFilter()}$part)", $settings->ldapBaseGroups, [$shown, 'dn'], $limit, $offset
        );
        return array_values(array_filter(array_map($this->name(...), $records)));
    }

    public function count(): int
    {
        $settings = $this->access->settings;
        $filter = "(&{$settings->groupFilter()}({$settings->ldapGroupDisplayName}=*))";
        return $this->access->count($filter, $settings->ldapBaseGroups);
    }

    public function exists(string $name): bool
    {
        $dn = $this->mapping->dn($name);
        return $dn !== null && $this->access->exists($dn, $this->access->settings->groupFilter());
    }

    /** A new process asks for primary groups again. */
    public function restart(): void
    {
        $this->primaryGroups = true;
    }

    /** @return list<string> the names of the groups somebody is in */
    public function of(string $user): array
    {
        $settings = $this->access->settings;
        $dn = (string) $this->users->mapping->dn($user);
        $groups = [...$this->primary($dn), ...$this->byNumber($dn)];
        if ($settings->hasMemberOfFilterSupport && $settings->useMemberOfToDetectMembership) {
            $dns = $this->walkUp($dn);
        } else {
            $dns = $this->searchUp($dn);
        }
        foreach ($dns as $group) {
            if (DistinguishedName::isBelow($group, $settings->ldapBaseGroups)
                && $this->access->exists($group, $settings->groupFilter())) {
                $groups[] = $this->name(['dn' => [$group]]);
            }
        }
        return array_values(array_unique(array_filter($groups)));
    }

    /** @return list<string> the names of the people in a group */
    public function members(string $name): array
    {
        $settings = $this->access->settings;
        $dn = (string) $this->mapping->dn($name);
        if ($this->primaryGroups) {
            $this->primaryGroups = ($this->access->read($dn, 'primaryGroupToken') ?: []) !== [];
        }
        $names = $this->withNumber($dn);
        if ($settings->ldapNestedGroups && $settings->hasMemberOfFilterSupport && $this->inChain !== 'unavailable') {
            $filter = "(&{$settings->userFilter()}({$settings->ldapUserDisplayName}=*)(memberof:" . self::IN_CHAIN . ":=$dn))";
            $found = $this->users->fetch($filter, null, 0, false);
            if ($found !== []) {
                $this->inChain = 'available';
            }
            if ($this->inChain === 'available') {
                return self::united($names, $found);
            }
        }
        $seen = [];
        $found = array_filter(array_map($this->users->nameOfMember(...), $this->walkDown($dn, $seen)));
        if ($settings->ldapNestedGroups && $found !== []) {
            $this->inChain = 'unavailable';
        }
        return self::united($names, $found);
    }

    /**
     * @param list<string> $one
     * @param array<string> $other
     * @return list<string>
     */
    private static function united(array $one, array $other): array
    {
        return array_values(array_unique([...$one, ...array_values($other)]));
    }

    /** @return list<string> */
    private function primary(string $dn): array
    {
        if ($this->primaryGroups) {
            $this->primaryGroups = ($this->access->read($dn, 'primaryGroupID') ?: []) !== [];
        }
        return [];
    }

    /** The group with a person's number. @return list<?string> */
    private function byNumber(string $dn): array
    {
        $settings = $this->access->settings;
        $number = $settings->ldapGidNumber === '' ? [] : ($this->access->read($dn, $settings->ldapGidNumber) ?: []);
        if ($number === []) {
            return [];
        }
        $filter = "(&{$settings->groupFilter()}(objectClass=posixGroup)({$settings->ldapGidNumber}={$number[0]}))";
        $records = $this->access->search($filter, $settings->ldapBaseGroups, ['dn'], 1);
        return array_map($this->name(...), $records);
    }

    /** The people with a group's number. @return list<string> */
    private function withNumber(string $dn): array
    {
        $settings = $this->access->settings;
        $number = $settings->ldapGidNumber === '' ? [] : ($this->access->read($dn, $settings->ldapGidNumber) ?: []);
        if ($number === []) {
            return [];
        }
        $people = "(&{$settings->userFilter()}({$settings->ldapUserDisplayName}=*))";
        return $this->users->fetch("(&$people({$settings->ldapGidNumber}={$number[0]}))", null, 0, false);
    }

    /** Groups of an entry by its memberOf, and of those groups in turn. @return list<string> */
    private function walkUp(string $dn): array
    {
        $found = [];
        $next = [$dn];
        while ($next !== []) {
            $entry = array_shift($next);
            foreach ($this->access->read($entry, 'memberof') ?: [] as $group) {
                $group = DistinguishedName::kept($group);
                if (!isset($found[$group])) {
                    $found[$group] = true;
                    if ($this->access->settings->ldapNestedGroups) {
                        $next[] = $group;
                    }
                }
            }
        }
        return array_keys($found);
    }

    /** The same by searching for groups that name the entry as a member. @return list<string> */
    private function searchUp(string $dn): array
    {
        $settings = $this->access->settings;
        $found = [];
        $next = [$dn];
        while ($next !== []) {
            $value = array_shift($next);
            $filter = "({$settings->ldapGroupMemberAssocAttr}=$value)";
            if (!$settings->ldapNestedGroups) {
                $filter = "(&$filter{$settings->groupFilter()})";
            }
            $records = $this->access->search(
                $filter, $settings->ldapBaseGroups, [$settings->ldapGroupDisplayName, 'dn']
            );
            foreach ($records as $record) {
                $group = DistinguishedName::kept($record['dn'][0]);
                if (!isset($found[$group])) {
                    $found[$group] = true;
                    if ($settings->ldapNestedGroups) {
                        $next[] = $group;
                    }
                }
            }
        }
        return array_keys($found);
    }

    /**
     * Members by reading, of nested groups too: every member is asked for members, people as well.
     *
     * @param array<string, true> $seen
     * @return list<string>
     */
    private function walkDown(string $dn, array &$seen): array
    {
        $settings = $this->access->settings;
        $found = [];
        foreach ($this->access->read($dn, $settings->ldapGroupMemberAssocAttr) ?: [] as $member) {
            $member = DistinguishedName::kept($member);
            if (isset($seen[$member])) {
                continue;
            }
            $seen[$member] = true;
            $found[] = $member;
            if ($settings->ldapNestedGroups) {
                array_push($found, ...$this->walkDown($member, $seen));
            }
        }
        return $found;
    }

    /** @param array<string, list<string>> $record */
    private function name(array $record): ?string
    {
        $settings = $this->access->settings;
        $dn = DistinguishedName::kept($record['dn'][0]);
        $known = $this->mapping->nameOfDn($dn);
        if ($known !== null) {
            return $known;
        }
        $uuid = $this->access->uuid($dn, $this->uuidAttribute, $settings->ldapExpertUUIDGroupAttr, $record);
        if ($uuid === null) {
            return null;
        }
        $renamed = $this->mapping->nameOfUuid($uuid);
        if ($renamed !== null) {
            $this->mapping->move($renamed, $dn);
            return $renamed;
        }
        $attribute = $settings->ldapGroupDisplayName;
        $shown = ($record[strtolower($attribute)] ?? $this->access->read($dn, $attribute) ?: [])[0] ?? '';
        return $shown === '' ? null : $this->mapping->add($shown, $dn, $uuid);
    }
}
