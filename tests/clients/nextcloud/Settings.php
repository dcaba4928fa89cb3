<?php

declare(strict_types=1);

/**
 * The settings of one LDAP configuration, as an administrator would make them. The names are Nextcloud's. Those given as
 * JSON replace the defaults, which are Nextcloud's own where they matter.
 */
final class Settings
{
    public string $ldapHost = '127.0.0.1';
    public int $ldapPort = 389;
    /** StartTLS. */
    public bool $ldapTLS = false;
    public string $ldapAgentName = '';
    public string $ldapAgentPassword = '';
    public string $ldapBase = '';
    public string $ldapBaseUsers = '';
    public string $ldapBaseGroups = '';
    public string $ldapUserFilter = '';
    public string $ldapLoginFilter = '';
    public string $ldapGroupFilter = '';
    public string $ldapUserDisplayName = 'displayName';
    public string $ldapGroupDisplayName = 'cn';
    public string $ldapGroupMemberAssocAttr = 'member';
    public string $ldapEmailAttribute = '';
    public string $ldapQuotaAttribute = '';
    public string $ldapExpertUsernameAttr = '';
    public string $ldapExpertUUIDUserAttr = '';
    public string $ldapExpertUUIDGroupAttr = '';
    public string $ldapGidNumber = 'gidNumber';
    public string $ldapUserAvatarRule = 'default';
    /** @var list<string> */
    public array $ldapAttributesForUserSearch = [];
    public int $ldapPagingSize = 500;
    public int $ldapConnectionTimeout = 15;
    public bool $ldapNestedGroups = false;
    public bool $hasMemberOfFilterSupport = false;
    public bool $useMemberOfToDetectMembership = true;
    public bool $ldapConfigurationActive = false;

    /**
     * Settings as `occ` takes them: text, with `1` for yes and lists divided by semicolons.
     *
     * @param array<string, string> $given
     */
    public static function ofStrings(array $given): self
    {
        $typed = [];
        foreach ($given as $name => $value) {
            $type = (string) (new ReflectionProperty(self::class, $name))->getType();
            $typed[$name] = match ($type) {
                'bool' => $value === '1',
                'int' => (int) $value,
                'array' => $value === '' ? [] : explode(';', $value),
                default => $value,
            };
        }
        return new self($typed);
    }

    /** @param array<string, mixed> $given */
    public function __construct(array $given)
    {
        foreach ($given as $name => $value) {
            if (!property_exists($this, $name)) {
                throw new InvalidArgumentException("there is no setting $name");
            }
            $this->$name = $value;
        }
        $this->ldapBaseUsers = $this->ldapBaseUsers ?: $this->ldapBase;
        $this->ldapBaseGroups = $this->ldapBaseGroups ?: $this->ldapBase;
    }

    public function userFilter(): string
    {
        return self::parenthesised($this->ldapUserFilter);
    }

    public function groupFilter(): string
    {
        return self::parenthesised($this->ldapGroupFilter);
    }

    /** @return list<string> attribute names holding an avatar */
    public function avatarAttributes(): array
    {
        $rule = $this->ldapUserAvatarRule;
        return match (true) {
            $rule === 'none' => [],
            str_starts_with($rule, 'data:') => [strtolower(trim(substr($rule, 5)))],
            default => ['jpegphoto', 'thumbnailphoto'],
        };
    }

    private static function parenthesised(string $filter): string
    {
        return $filter === '' || $filter[0] === '(' ? $filter : "($filter)";
    }
}
