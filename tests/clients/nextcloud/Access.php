<?php

declare(strict_types=1);

/**
 * The four ways Nextcloud asks: an attribute of one entry, whether an entry is there, a search, a count. One paging cookie for the
 * whole process, whatever was searched.
 */
final class Access
{
    /** Names of a stable identifier, in the order tried. */
    public const UUID_ATTRIBUTES = ['entryuuid', 'nsuniqueid', 'objectguid', 'guid', 'ipauniqueid'];
    /** Their values are 16 octets, not text. */
    private const BINARY_UUIDS = ['objectguid', 'guid'];

    private string $cookie = '';
    private bool $paged = false;

    public function __construct(public readonly Server $server, public readonly Settings $settings)
    {
    }

    /**
     * The values of one attribute; false when the entry is not there or does not match the filter. An empty name asks for the
     * entry's existence alone.
     *
     * @return list<string>|false
     */
    public function read(string $dn, string $attribute, string $filter = '(objectClass=*)'): array|false
    {
        $base = DistinguishedName::asBase($dn);
        $answer = $this->server->call('ldap_read', $base, $filter, [$attribute]);
        if ($answer === false || $this->server->call('ldap_count_entries', $answer) === 0) {
            return false;
        }
        $record = self::records($this->server->call('ldap_get_entries', $answer))[0];
        return $record[strtolower($attribute)] ?? [];
    }

    public function exists(string $dn, string $filter): bool
    {
        return $this->read($dn, '', $filter) !== false;
    }

    /**
     * Entries as maps of lower-case names to values, `dn` among them.
     *
     * @param list<string> $attributes
     * @return list<array<string, list<string>>>
     */
    public function search(string $filter, string $base, array $attributes, ?int $limit = null, int $offset = 0): array
    {
        $size = min($limit ?? $this->settings->ldapPagingSize, $this->settings->ldapPagingSize);
        $found = [];
        do {
            $page = $this->page($filter, $base, $attributes, $size, $offset + count($found));
            if ($page === null) {
                return $found;
            }
            array_push($found, ...$page);
        } while ($limit === null && $page !== [] && $this->hasMore());
        // A server that knows no pages has sent everything.
        if (!$this->paged && $limit !== null && count($found) > $limit) {
            $found = array_slice($found, $offset, $limit);
        }
        return $found;
    }

    /** The number of matching entries, at most about `limit`; counted page by page. */
    public function count(string $filter, string $base, array $attributes = ['dn'], ?int $limit = null): int
    {
        $size = min($limit ?? $this->settings->ldapPagingSize, $this->settings->ldapPagingSize);
        $count = 0;
        do {
            $answer = $this->ask($filter, $base, $attributes, $size, $count);
            if ($answer === null) {
                return $count;
            }
            $found = $this->server->call('ldap_count_entries', $answer);
            $count += $found;
        } while ($found > 0 && $this->hasMore() && ($limit === null || $count < $limit));
        return $count;
    }

    public function hasMore(): bool
    {
        return $this->cookie !== '';
    }

    /**
     * The identifier of an entry, from its record where that has one.
     *
     * @param array<string, list<string>> $record
     */
    public function uuid(string $dn, ?string &$known, string $configured, array $record = []): ?string
    {
        $names = $known !== null ? [$known] : ($configured !== '' ? [strtolower($configured)] : self::UUID_ATTRIBUTES);
        foreach ($names as $name) {
            $values = ($record[$name] ?? []) ?: ($this->read($dn, $name) ?: []);
            if (($values[0] ?? '') !== '') {
                $known = $name;
                return in_array($name, self::BINARY_UUIDS, true) ? self::fromOctets($values[0]) : $values[0];
            }
        }
        return null;
    }

    /** A new process begins without a cookie and without a connection. */
    public function restart(): void
    {
        $this->cookie = '';
        $this->server->forget();
    }

    /**
     * One page; null when none can be had.
     *
     * @param list<string> $attributes
     * @return list<array<string, list<string>>>|null
     */
    private function page(string $filter, string $base, array $attributes, int $size, int $offset): ?array
    {
        $answer = $this->ask($filter, $base, $attributes, $size, $offset);
        return $answer === null ? null : self::records($this->server->call('ldap_get_entries', $answer));
    }

    /** @param list<string> $attributes */
    private function ask(string $filter, string $base, array $attributes, int $size, int $offset): ?LDAP\Result
    {
        if ($offset === 0) {
            $this->cookie = '';
        } elseif ($this->cookie === '') {
            $this->catchUp($filter, $base, $attributes, $offset);
            if (!$this->hasMore()) {
                return null;
            }
        }
        $control = [
            'oid' => LDAP_CONTROL_PAGEDRESULTS,
            'iscritical' => false,
            'value' => ['size' => $size, 'cookie' => $this->cookie],
        ];
        $controls = [LDAP_CONTROL_PAGEDRESULTS => $control];
        $answer = $this->server->call(
            static fn (LDAP\Connection $link) => ldap_search(
                $link, $base, $filter, $attributes, 0, 0, 0, LDAP_DEREF_NEVER, $controls
            )
        );
        // The link and the answer belong together; a lost connection shows when the result is read.
        $this->cookie = '';
        $this->paged = false;
        if ($answer === false || $this->server->code() !== 0) {
            $this->server->judge();
            return null;
        }
        $returned = [];
        $code = 0;
        $this->server->call(
            static function (LDAP\Connection $link) use ($answer, &$code, &$returned): bool {
                return ldap_parse_result($link, $answer, $code, $matched, $message, $referrals, $returned);
            }
        );
        $page = $returned[LDAP_CONTROL_PAGEDRESULTS]['value'] ?? null;
        $this->paged = $page !== null;
        $this->cookie = (string) ($page['cookie'] ?? '');
        return $answer;
    }

    /**
     * Walks to an offset whose cookie this process does not have: all pages before it, their entries thrown away.
     *
     * @param list<string> $attributes
     */
    private function catchUp(string $filter, string $base, array $attributes, int $offset): void
    {
        $size = $this->settings->ldapPagingSize;
        if ($offset < $size) {
            $this->ask($filter, $base, $attributes, $offset, 0);
        } else {
            $this->ask($filter, $base, $attributes, $size, $offset - $size);
        }
    }

    /**
     * What php-ldap returns, without its counts.
     *
     * @return list<array<string, list<string>>>
     */
    private static function records(array|false $entries): array
    {
        $records = [];
        for ($at = 0; $at < ($entries['count'] ?? 0); $at++) {
            $record = ['dn' => [$entries[$at]['dn']]];
            for ($name = 0; $name < $entries[$at]['count']; $name++) {
                $values = $entries[$at][$entries[$at][$name]];
                unset($values['count']);
                $record[strtolower($entries[$at][$name])] = $values;
            }
            $records[] = $record;
        }
        return $records;
    }

    private static function fromOctets(string $octets): string
    {
        $hex = bin2hex($octets);
        return strtoupper(sprintf(
            '%s%s%s%s-%s%s-%s%s-%s-%s',
            substr($hex, 6, 2), substr($hex, 4, 2), substr($hex, 2, 2), substr($hex, 0, 2),
            substr($hex, 10, 2), substr($hex, 8, 2), substr($hex, 14, 2), substr($hex, 12, 2),
            substr($hex, 16, 4), substr($hex, 20)
        ));
    }
}
