<?php

declare(strict_types=1);

/** People: lists, logins, their attributes, and whether they are still there. */
final class Users
{
    /** Attributes asked for in every list, besides the configured ones. */
    private const ALWAYS = ['dn', 'uid', 'samaccountname', 'memberof'];
    private const IMAGES = ["\xff\xd8\xff" => 'image/jpeg', "\x89PNG" => 'image/png', 'GIF8' => 'image/gif'];

    public readonly Mapping $mapping;
    /** What was last stored of each person. @var array<string, array<string, mixed>> */
    public array $profiles = [];
    /** Names marked as deleted. @var array<string, true> */
    public array $deleted = [];
    /** Internal names of DNs looked at as members of groups; kept for a while. @var array<string, ?string> */
    private array $members = [];
    /** The name of the identifier, once one was found; a setting, so it outlives the process. */
    private ?string $detected = null;

    public function __construct(private readonly Access $access)
    {
        $this->mapping = new Mapping();
    }

    /** @return list<string> internal names */
    public function list(string $term, ?int $limit, int $offset): array
    {
        $settings = $this->access->settings;
        $filter = "(&{$settings->userFilter()}({$settings->ldapUserDisplayName}=*){$this->searchPart($term)})";
        return $this->fetch($filter, $limit, $offset, false);
    }

    /**
     * One search for people; those not seen before are added.
     *
     * @return list<string>
     */
    public function fetch(string $filter, ?int $limit, int $offset, bool $full): array
    {
        $records = $this->access->search($filter, $this->base(), $this->attributes(!$full), $limit, $offset);
        return $this->take($records, $full);
    }

    /** The number of people, or of those with some attribute. */
    public function count(string $attribute = ''): int
    {
        $settings = $this->access->settings;
        $presence = $attribute === '' ? $settings->ldapUserDisplayName : $attribute;
        return $this->access->count("(&{$settings->userFilter()}($presence=*))", $this->base());
    }

    /**
     * A login with what somebody typed.
     *
     * @return array{name: ?string, accepted: bool}
     */
    public function login(string $typed, string $password): array
    {
        $settings = $this->access->settings;
        $filter = str_replace('%uid', ldap_escape($typed, '', LDAP_ESCAPE_FILTER), $settings->ldapLoginFilter);
        $records = $this->access->search($filter, $this->base(), $this->attributes(false));
        if ($records === []) {
            return ['name' => null, 'accepted' => false];
        }
        $name = $this->name($records[0]);
        $dn = $name === null ? null : $this->mapping->dn($name);
        if ($dn === null || !$this->access->server->accepts(DistinguishedName::asBase($dn), $password)) {
            return ['name' => $name, 'accepted' => false];
        }
        $this->store($name, $records[0]);
        return ['name' => $name, 'accepted' => true];
    }

    /** Whether somebody is still there; finds those who were renamed. */
    public function exists(string $name): bool
    {
        $dn = $this->mapping->dn($name);
        if ($dn === null) {
            return false;
        }
        if ($this->access->exists($dn, $this->access->settings->userFilter())) {
            return true;
        }
        $now = $this->dnOfUuid((string) $this->mapping->uuid($name));
        if ($now === null || $now === $dn) {
            return false;
        }
        $this->mapping->move($name, $now);
        return $this->access->exists($now, $this->access->settings->userFilter());
    }

    /** The DN of the only entry with this identifier; the name of the identifier is a setting that detection writes. */
    public function dnOfUuid(string $uuid): ?string
    {
        $attribute = $this->access->settings->ldapExpertUUIDUserAttr ?: $this->detected;
        if ($attribute === null) {
            return null;
        }
        try {
            $records = $this->access->search("($attribute=$uuid)", $this->base(), ['dn'], 2);
        } catch (OperationFailed) {
            return null;
        }
        return count($records) === 1 ? DistinguishedName::kept($records[0]['dn'][0]) : null;
    }

    /**
     * The avatar as octets: the first attribute of the rule that holds an image.
     *
     * @return array{attribute: string, type: ?string, octets: int, sha256: string}|null
     */
    public function avatar(string $name): ?array
    {
        foreach ($this->access->settings->avatarAttributes() as $attribute) {
            $octets = $this->access->read((string) $this->mapping->dn($name), $attribute)[0] ?? '';
            if ($octets !== '') {
                return [
                    'attribute' => $attribute,
                    'type' => self::imageType($octets),
                    'octets' => strlen($octets),
                    'sha256' => hash('sha256', $octets),
                ];
            }
        }
        return null;
    }

    /** Sets a password as the agent: by the extended operation, else by writing the attribute. */
    public function setPassword(string $name, string $password): string
    {
        $dn = DistinguishedName::asBase((string) $this->mapping->dn($name));
        try {
            $changed = $this->access->server->call('ldap_exop_passwd', $dn, '', $password) === true
                || $this->access->server->call('ldap_mod_replace', $dn, ['userPassword' => $password]) === true;
            return $changed ? 'changed' : 'failed silently';
        } catch (PasswordRefused $refused) {
            return "Password change rejected. Hint: {$refused->getMessage()}";
        }
    }

    /** @return list<string> */
    public function attributes(bool $minimal): array
    {
        $settings = $this->access->settings;
        $configured = [
            $settings->ldapExpertUUIDUserAttr, $settings->ldapExpertUsernameAttr, $settings->ldapQuotaAttribute,
            $settings->ldapEmailAttribute, $settings->ldapUserDisplayName,
        ];
        $names = [...Access::UUID_ATTRIBUTES, ...self::ALWAYS, ...$configured];
        if (!$minimal) {
            array_push($names, ...$settings->avatarAttributes());
        }
        return array_values(array_unique(array_filter(array_map('strtolower', $names))));
    }

    public function base(): string
    {
        return $this->access->settings->ldapBaseUsers;
    }

    /** A member's DN as an internal name, if the entry is a person Nextcloud sees. */
    public function nameOfMember(string $dn): ?string
    {
        if (!array_key_exists($dn, $this->members)) {
            $settings = $this->access->settings;
            $filter = "(&({$settings->ldapUserDisplayName}=*){$settings->userFilter()})";
            $seen = DistinguishedName::isBelow($dn, $this->base()) && $this->access->exists($dn, $filter);
            $this->members[$dn] = $seen ? $this->name(['dn' => [$dn]]) : null;
        }
        return $this->members[$dn];
    }

    /** A new process remembers no members. */
    public function restart(): void
    {
        $this->members = [];
    }

    /**
     * @param list<array<string, list<string>>> $records
     * @return list<string>
     */
    public function take(array $records, bool $apply): array
    {
        $names = [];
        foreach ($records as $record) {
            $name = $this->name($record);
            if ($name !== null) {
                $names[] = $name;
                if ($apply || !isset($this->profiles[$name])) {
                    $this->store($name, $record);
                }
            }
        }
        return $names;
    }

    /**
     * The internal name of a record; one not seen before gets its name here, one without an identifier gets none.
     *
     * @param array<string, list<string>> $record
     */
    private function name(array $record): ?string
    {
        $settings = $this->access->settings;
        $dn = DistinguishedName::kept($record['dn'][0]);
        $known = $this->mapping->nameOfDn($dn);
        if ($known !== null) {
            return $known;
        }
        $uuid = $this->access->uuid($dn, $this->detected, $settings->ldapExpertUUIDUserAttr, $record);
        if ($uuid === null) {
            return null;
        }
        $renamed = $this->mapping->nameOfUuid($uuid);
        if ($renamed !== null) {
            $this->mapping->move($renamed, $dn);
            return $renamed;
        }
        $shown = $this->first($record, $dn, $settings->ldapUserDisplayName);
        if ($shown === '') {
            return null;
        }
        $attribute = $settings->ldapExpertUsernameAttr;
        $name = $attribute === '' ? $uuid : ($this->access->read($dn, $attribute)[0] ?? '');
        $name = self::sanitised($name);
        return $name === '' ? null : $this->mapping->add($name, $dn, $uuid);
    }

    /** @param array<string, list<string>> $record */
    private function store(string $name, array $record): void
    {
        $settings = $this->access->settings;
        $one = static fn (string $attribute): ?string => $attribute === ''
            ? null
            : ($record[strtolower($attribute)][0] ?? null);
        $this->profiles[$name] = [
            'shown' => $one($settings->ldapUserDisplayName),
            'email' => $one($settings->ldapEmailAttribute),
            'quota' => self::quota($one($settings->ldapQuotaAttribute)),
            'login' => $one('uid') ?? $one('samaccountname'),
            'groups' => count($record['memberof'] ?? []),
            'avatar' => $one('jpegphoto') ?? $one('thumbnailphoto'),
        ];
        // An avatar is octets; the report is JSON.
        $this->profiles[$name]['avatar'] = isset($this->profiles[$name]['avatar'])
            ? hash('sha256', $this->profiles[$name]['avatar'])
            : null;
        unset($this->deleted[$name]);
    }

    /** @param array<string, list<string>> $record */
    private function first(array $record, string $dn, string $attribute): string
    {
        return ($record[strtolower($attribute)] ?? $this->access->read($dn, $attribute) ?: [])[0] ?? '';
    }

    private function searchPart(string $term): string
    {
        $settings = $this->access->settings;
        $attributes = $settings->ldapAttributesForUserSearch;
        $words = array_values(array_filter(explode(' ', $term), static fn (string $word) => $word !== ''));
        if (count($attributes) > 1 && count($words) > 1) {
            $parts = array_map(fn (string $word) => $this->anyOf($attributes, $word), $words);
            return '(&' . implode('', $parts) . ')';
        }
        return $this->anyOf($attributes ?: [$settings->ldapUserDisplayName], $term);
    }

    /** @param list<string> $attributes */
    private function anyOf(array $attributes, string $term): string
    {
        $value = self::searchValue($term);
        $parts = [];
        foreach ($attributes as $attribute) {
            // The empty term is presence; any other is looked for as it stands and as a beginning.
            $parts[] = $value === '*' ? "($attribute=*)" : "($attribute=" . rtrim($value, '*') . ")($attribute=$value)";
        }
        $all = implode('', $parts);
        return substr_count($all, '=') === 1 ? $all : "(|$all)";
    }

    /** A star typed first is kept, everything else is meant literally. */
    private static function searchValue(string $term): string
    {
        $star = str_starts_with($term, '*') && $term !== '*' ? '*' : '';
        $literal = ldap_escape(ltrim($term, '*'), '', LDAP_ESCAPE_FILTER);
        return $literal === '' ? '*' : "$star$literal*";
    }

    private static function sanitised(string $name): string
    {
        $plain = iconv('UTF-8', 'ASCII//TRANSLIT', trim($name)) ?: $name;
        return (string) preg_replace('/[^a-zA-Z0-9+_.@\-]/', '', str_replace(' ', '_', $plain));
    }

    /** Texts such as `10 GB`, `none`, `default`; anything else is no quota. */
    private static function quota(?string $text): ?string
    {
        $text = trim((string) $text);
        $known = in_array($text, ['none', 'default'], true) || preg_match('/^\d+(\.\d+)?\s*([KMGTP]?B?)$/i', $text) === 1;
        return $known ? $text : null;
    }

    private static function imageType(string $octets): ?string
    {
        foreach (self::IMAGES as $start => $type) {
            if (str_starts_with($octets, $start)) {
                return $type;
            }
        }
        return null;
    }
}
