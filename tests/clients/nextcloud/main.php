<?php

declare(strict_types=1);

/*
 * Does what Nextcloud's user_ldap does to an LDAP server, in requests and in conclusions; told from outside what to do next.
 *
 * The first line of the input is the settings as JSON. Every further line is an order such as {"do": "list", "limit": 50}; each is answered
 * by one line of JSON with `result`, or with `stopped` when the server was not available, or `failed`.
 */

spl_autoload_register(static function (string $class): void {
    $file = in_array($class, ['ServerNotAvailable', 'PasswordRefused', 'OperationFailed'], true) ? 'Server' : $class;
    require __DIR__ . "/$file.php";
});
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    // Warnings of php-ldap that are asked for by their code instead are silenced where they arise.
    if ((error_reporting() & $level) === 0) {
        return true;
    }
    throw new ErrorException($message, 0, $level, $file, $line);
});

/** One installation: its settings, its database, and the process that is running. */
final class Nextcloud
{
    public readonly Access $access;
    public readonly Users $users;
    public readonly Groups $groups;
    public readonly Jobs $jobs;
    public readonly Wizard $wizard;

    public function __construct(Settings $settings)
    {
        $this->access = new Access(new Server($settings), $settings);
        $this->users = new Users($this->access);
        $this->groups = new Groups($this->access, $this->users);
        $this->jobs = new Jobs($this->access, $this->users, $this->groups);
        $this->wizard = new Wizard($this->access);
    }

    /** @param array<string, mixed> $order */
    public function obey(array $order): mixed
    {
        $word = static fn (string $name): string => (string) ($order[$name] ?? '');
        $number = static fn (string $name, ?int $default): ?int => $order[$name] ?? $default;
        return match ($order['do']) {
            'process' => $this->restart(),
            'version' => 'PHP ' . PHP_VERSION,
            'list' => $this->users->list($word('term'), $number('limit', null), $number('offset', 0)),
            'count' => $this->users->count(),
            'login' => $this->users->login($word('typed'), $word('password')),
            'exists' => $this->users->exists($word('name')),
            'dn' => $this->users->mapping->dn($word('name')),
            'uuid' => $this->users->mapping->uuid($word('name')),
            'profile' => $this->users->profiles[$word('name')] ?? null,
            'avatar' => $this->users->avatar($word('name')),
            'password' => $this->users->setPassword($word('name'), $word('password')),
            'known' => $this->users->mapping->count(),
            'names' => $this->users->mapping->names(),
            'deleted' => array_map('strval', array_keys($this->users->deleted)),
            'groups' => $this->groups->list($word('term'), $number('limit', null), $number('offset', 0)),
            'count groups' => $this->groups->count(),
            'groups of' => $this->groups->of($word('name')),
            'members' => $this->groups->members($word('name')),
            'group exists' => $this->groups->exists($word('name')),
            'in chain' => $this->groups->inChain,
            'sync' => $this->jobs->sync(),
            'clean up' => $this->jobs->cleanUp(),
            'update groups' => $this->jobs->updateGroups(),
            'port' => $this->wizard->port($order['candidates']),
            'base' => $this->wizard->base($word('host')),
            'entries' => $this->wizard->entries(),
            'classes' => $this->wizard->classes((bool) ($order['groups'] ?? false)),
            'offered groups' => $this->wizard->groups(),
            'member of' => $this->wizard->memberOf(),
            'user filter' => $this->wizard->userFilter($word('class'), $word('group')),
            'attributes' => $this->wizard->attributes(),
            'email' => $this->wizard->email($this->users),
            'display name' => $this->wizard->displayName($this->users),
            'member attribute' => $this->wizard->memberAttribute(),
            'test login' => $this->wizard->testLogin($word('typed')),
            'set-up check' => $this->wizard->setUpCheck(),
            'set' => $this->set((array) $order['settings']),
            'logged' => $this->access->server->logged,
            'memory' => memory_get_peak_usage(true),
        };
    }

    /** The next process knows what the database knows. */
    private function restart(): void
    {
        $this->access->restart();
        $this->users->restart();
        $this->groups->restart();
    }

    /** @param array<string, mixed> $settings */
    private function set(array $settings): void
    {
        foreach ($settings as $name => $value) {
            $this->access->settings->$name = $value;
        }
    }
}

ini_set('memory_limit', '2G');
$lines = new SplFileObject('php://stdin');
$nextcloud = new Nextcloud(new Settings(json_decode((string) $lines->fgets(), true, 16, JSON_THROW_ON_ERROR)));
while (!$lines->eof() && ($line = trim((string) $lines->fgets())) !== '') {
    try {
        $answer = ['result' => $nextcloud->obey(json_decode($line, true, 16, JSON_THROW_ON_ERROR))];
    } catch (ServerNotAvailable $unavailable) {
        $answer = ['stopped' => $unavailable->getMessage()];
    } catch (Throwable $error) {
        $answer = ['failed' => get_class($error) . ": {$error->getMessage()} at {$error->getFile()}:{$error->getLine()}"];
    }
    echo json_encode($answer, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE), "\n";
}
