<?php

declare(strict_types=1);

/**
 * What the database knows of entries seen before: for each internal name the DN and the identifier. It outlives processes. The
 * tests look at which names were given up.
 */
final class Mapping
{
    /** @var array<string, array{dn: string, uuid: string}> */
    private array $byName = [];
    /** @var array<string, string> */
    private array $nameOfDn = [];
    /** @var array<string, string> */
    private array $nameOfUuid = [];

    /** The internal name of a DN seen before. */
    public function nameOfDn(string $dn): ?string
    {
        return $this->nameOfDn[$dn] ?? null;
    }

    public function nameOfUuid(string $uuid): ?string
    {
        return $this->nameOfUuid[$uuid] ?? null;
    }

    public function dn(string $name): ?string
    {
        return $this->byName[$name]['dn'] ?? null;
    }

    public function uuid(string $name): ?string
    {
        return $this->byName[$name]['uuid'] ?? null;
    }

    /** Adds a name, with a number behind it if it is taken. */
    public function add(string $name, string $dn, string $uuid): string
    {
        $free = $name;
        for ($number = 2; isset($this->byName[$free]); $number++) {
            $free = "{$name}_$number";
        }
        $this->byName[$free] = ['dn' => $dn, 'uuid' => $uuid];
        $this->nameOfDn[$dn] = $free;
        $this->nameOfUuid[$uuid] = $free;
        return $free;
    }

    /** The entry was renamed. */
    public function move(string $name, string $dn): void
    {
        unset($this->nameOfDn[$this->byName[$name]['dn']]);
        $this->byName[$name]['dn'] = $dn;
        $this->nameOfDn[$dn] = $name;
    }

    /** @return list<string> */
    public function names(int $limit = PHP_INT_MAX, int $offset = 0): array
    {
        return array_map('strval', array_slice(array_keys($this->byName), $offset, $limit));
    }

    public function count(): int
    {
        return count($this->byName);
    }
}
