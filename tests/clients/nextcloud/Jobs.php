<?php

declare(strict_types=1);

/**
 * What runs in the background, each run in a new process: the synchronisation of people's attributes, the search for people
 * who are gone, the memberships of all groups. What they note outlives the process.
 */
final class Jobs
{
    private const CLEAN_UP_AT_ONCE = 50;

    private int $syncOffset = 0;
    private int $cleanUpOffset = 0;
    /** Members by group. @var array<string, list<string>> */
    private array $memberships = [];

    public function __construct(
        private readonly Access $access,
        private readonly Users $users,
        private readonly Groups $groups,
    ) {
    }

    /**
     * One page of people with all their attributes.
     *
     * @return array{offset: int, found: int}
     */
    public function sync(): array
    {
        $settings = $this->access->settings;
        $size = $settings->ldapPagingSize;
        $filter = "(&{$settings->userFilter()}({$settings->ldapUserDisplayName}=*))";
        $offset = $this->syncOffset;
        $found = count($this->users->fetch($filter, $size, $offset, true));
        // A full page means that there are more.
        $this->syncOffset = $found >= $size ? $offset + $size : 0;
        return ['offset' => $offset, 'found' => $found];
    }

    /**
     * A few people are looked at; those who cannot be found are marked as deleted.
     *
     * @return array{checked: int, gone: list<string>}
     */
    public function cleanUp(): array
    {
        $names = $this->users->mapping->names(self::CLEAN_UP_AT_ONCE, $this->cleanUpOffset);
        $gone = [];
        foreach ($names as $name) {
            if (!isset($this->users->deleted[$name]) && !$this->users->exists($name)) {
                $this->users->deleted[$name] = true;
                $gone[] = $name;
            }
        }
        $this->cleanUpOffset = count($names) < self::CLEAN_UP_AT_ONCE ? 0 : $this->cleanUpOffset + count($names);
        return ['checked' => count($names), 'gone' => $gone];
    }

    /**
     * All groups and their members; what changed since the last time.
     *
     * @return array{groups: int, members: int, created: list<string>, lost: list<string>, joined: int, left: int}
     */
    public function updateGroups(): array
    {
        $now = $this->groups->list();
        $known = array_map('strval', array_keys($this->memberships));
        $report = [
            'groups' => count($now),
            'members' => 0,
            'created' => array_values(array_diff($now, $known)),
            'lost' => array_values(array_diff($known, $now)),
            'joined' => 0,
            'left' => 0,
        ];
        $memberships = [];
        foreach ($now as $group) {
            $members = $this->groups->members($group);
            $before = $this->memberships[$group] ?? [];
            $memberships[$group] = $members;
            $report['members'] += count($members);
            $report['joined'] += count(array_diff($members, $before));
            $report['left'] += count(array_diff($before, $members));
        }
        $this->memberships = $memberships;
        return $report;
    }
}
